"""The steps of a decision in words, for who asks why: the code that decides tells them; for requests nobody asks.

Of a token there are its header's names and the claims that say whose, for whom and until when; never its text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from ext_authz.jwt import Parsed, Verified
from ext_authz.keys import KeySet
from ext_authz.refusals import Reason, Refused
from ext_authz.rules import JwtCheck

_LONGEST: Final = 200
"""Characters of a value that a client sent."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at."""

    name: str
    ok: bool
    text: str
    provider: str = ""
    """Whose question it was; empty when it was the route's."""


Tell: TypeAlias = Callable[[Step], None]


def of_parsing(parsed: Parsed | Refused) -> Step:
    """Whether it is a token at all."""
    if isinstance(parsed, Refused):
        return Step("form", False, parsed.description)
    kid = "names no key" if parsed.kid is None else f"names the key {_shown(parsed.kid)}"
    kind = f"of type {_shown(parsed.typ)}" if parsed.typ else "without a type"
    return Step("form", True, f"a JWT {kind}, signed with {_shown(parsed.algorithm)}; it {kid}")


def of_other_issuer(check: JwtCheck, parsed: Parsed) -> Step:
    """A provider that is not asked, for the token says that it is from another."""
    claimed = _shown(parsed.claims.get("iss"))
    return Step("issuer", False, f"the token says {claimed}, this is {check.policy.issuer}", check.provider)


def of_content(check: JwtCheck, parsed: Parsed, refused: Refused | None, now: float) -> Iterator[Step]:
    """What the token says, against what the provider asks."""
    if refused is not None:
        detail = _about(refused.reason, check, parsed, now)
        yield Step(
            _CONTENT_STEPS.get(refused.reason, "claims"), False, f"{refused.description}{detail}", check.provider
        )
        return
    claims, accepted = parsed.claims, _any(check.policy.audiences)
    until = claims.get("exp")
    yield Step("algorithm", True, f"{parsed.algorithm} is accepted", check.provider)
    yield Step("issuer", True, _shown(claims.get("iss")), check.provider)
    yield Step("audience", True, f"{_shown(claims.get('aud'))}; accepted: {accepted}", check.provider)
    yield Step("time", True, "it never ends" if until is None else f"until {_moment(until)}", check.provider)


def of_keys(check: JwtCheck, key_set: KeySet | None) -> Step:
    """Whether there are keys to verify with."""
    count = len(key_set.keys) if key_set is not None else 0
    return Step("keys", count > 0, f"{count} of {check.source.location or 'the document'}", check.provider)


def of_signature(check: JwtCheck, parsed: Parsed, result: Verified | Refused) -> Step:
    """Whether one of the keys made the signature."""
    if isinstance(result, Refused):
        named = "" if parsed.kid is None else f" (it names {_shown(parsed.kid)})"
        return Step("signature", False, f"{result.description}{named}", check.provider)
    by = "a key of the set" if result.kid is None else f"the key {_shown(result.kid)}"
    return Step("signature", True, f"made by {by}", check.provider)


def of_scopes(provider: str, wanted: Iterable[str], granted: Iterable[str]) -> Step:
    """Whether all that the route asks is granted."""
    asked, had = sorted(wanted), frozenset(granted)
    missing = [scope for scope in asked if scope not in had]
    text = f"asked: {' '.join(asked)}" + (f"; not granted: {' '.join(missing)}" if missing else "")
    return Step("scopes", not missing, text, provider)


def of_revocation(provider: str) -> Step:
    """What an explanation can't know: the list is where the gateway runs."""
    return Step("revocation", True, "not looked up; gateway revocations list says what was revoked", provider)


def of_forwarding(provider: str, headers: Iterable[str] | None) -> Step:
    """What the upstream gets to know."""
    if headers is None:
        return Step("forwarding", False, "a claim is too long for a request header", provider)
    return Step("forwarding", True, f"the upstream gets: {', '.join(sorted(headers)) or 'no header'}", provider)


def of_introspection(provider: str, refused: Refused | None) -> Step:
    """What the issuer says of the token."""
    return Step(
        "introspection", refused is None, "the token is active" if refused is None else refused.description, provider
    )


def of_api_key(provider: str, key_id: str | None) -> Step:
    """Whose key it is."""
    known = "nobody was given this key" if key_id is None else f"the key {key_id}"
    return Step("api key", key_id is not None, known, provider)


def _about(reason: Reason, check: JwtCheck, parsed: Parsed, now: float) -> str:
    """What a refused token says, beside what would have been accepted."""
    claims, policy = parsed.claims, check.policy
    if reason is Reason.ALGORITHM:
        return f": {_shown(parsed.algorithm)}; accepted: {_any(policy.algorithms)}"
    if reason is Reason.TYPE:
        return f": {_shown(parsed.typ)}; accepted: {_any(name or '(none)' for name in policy.types)}"
    if reason is Reason.AUDIENCE:
        return f": {_shown(claims.get('aud'))}; accepted: {_any(policy.audiences)}"
    if reason is Reason.EXPIRED:
        return f": {_moment(claims['exp'])}, {now - claims['exp']:.0f} s ago; {policy.leeway:g} s are forgiven"
    if reason is Reason.NOT_YET_VALID:
        return f": nbf {_moment(claims.get('nbf'))}, iat {_moment(claims.get('iat'))}; now {_moment(now)}"
    if reason is Reason.LIFETIME:
        return f": {policy.max_lifetime:g} s from iat to exp are allowed"
    return ""


def _any(values: Iterable[str] | None) -> str:
    return "any" if values is None else ", ".join(sorted(values))


def _moment(seconds: object) -> str:
    """A NumericDate for people."""
    if not isinstance(seconds, int | float):
        return "not said"
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:g} s after 1970"


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_CONTENT_STEPS: Final = {
    Reason.ALGORITHM: "algorithm",
    Reason.TYPE: "type",
    Reason.ISSUER: "issuer",
    Reason.AUDIENCE: "audience",
    Reason.EXPIRED: "time",
    Reason.NOT_YET_VALID: "time",
    Reason.LIFETIME: "time",
}
