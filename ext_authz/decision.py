"""Decides in plain types: one credential of a request, a rule and keys become yes, no, or "which keys?". Pure."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from ext_authz import steps
from ext_authz.authorization import NOBODY, Caller
from ext_authz.claims import check_claims
from ext_authz.denials import (
    INACTIVE,
    WRONG_ISSUER,
    Deny,
    Unavailable,
    api_keys_unknown,
    deny_api_key,
    deny_forbidden,
    deny_scopes,
    deny_token,
)
from ext_authz.forwarding import forwarded_headers, header_value
from ext_authz.introspection import Inactive, Introspection, Known
from ext_authz.jwt import Parsed, Verified, check_content, check_signature, parse
from ext_authz.key_book import KeyBook, Shelf
from ext_authz.keys import KeySet
from ext_authz.refusals import Reason, Refused
from ext_authz.revocations import Revocable, revocable
from ext_authz.rules import KEY_PREFIX, ApiKeyCheck, JwtCheck, KeySource, Rule
from ext_authz.steps import Tell
from servicekit.contracts import TokenPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who is calling."""

    provider: str
    user: str | None
    """The caller across all providers; unambiguous, since no provider's name holds a colon."""
    user_id: str | None = None
    """The caller as its provider names it (``sub``)."""
    api_key: str | None = None
    """The API key by provider and id; as unambiguous."""
    tier: str | None = None
    """What the caller is worth, as its provider says."""
    scopes: str | None = None
    """What the credentials grant, sorted, separated by spaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """The request may pass, changed like this."""

    identity: Identity
    caller: Caller = NOBODY
    """What is asked with each request."""
    set_headers: Mapping[str, str]
    remove_headers: tuple[str, ...]
    remove_cookies: frozenset[str] = frozenset()
    remove_parameters: tuple[str, ...] = ()
    """Query parameters."""
    expires_at: float
    """When the credentials end, seconds since the epoch."""
    source: KeySource | Shelf | None = None
    """Whose keys vouched, or among which the API key is; the answer must not outlive them."""
    revocable: Revocable | None = None
    """What to look for among revocations, each time; ``None`` where they don't count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsKeys:
    """Nothing can be said without (newer) keys: none at all, or none called ``kid``."""

    source: KeySource
    kid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsIntrospection:
    """Nothing can be said before its issuer was asked about the token."""

    introspection: Introspection
    token: str = field(repr=False)


MAX_SCOPES_LENGTH: Final = 4096
"""Characters of the scopes that others are told."""
_TIER: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}")

Decision: TypeAlias = Allow | Deny | NeedsKeys | NeedsIntrospection | Unavailable
KeysOf: TypeAlias = Callable[[KeySource], KeySet | None]
"""The keys of a source that may be used now."""
KnownOf: TypeAlias = Callable[[Introspection, str], Known | None]
"""What is known of a token without asking anybody."""


def decide_token(
    rule: Rule,
    checks: tuple[JwtCheck, ...],
    token: str,
    keys_of: KeysOf,
    now: float,
    *,
    tell: Tell | None = None,
) -> Decision:
    """Judge a token by those ``checks`` of ``rule`` that look where it was, at ``now`` (seconds since the epoch).

    ``tell`` hears every step, for who asks why.
    """
    parsed = parse(token, rule.limits)
    if tell is not None:
        tell(steps.of_parsing(parsed))
    if isinstance(parsed, Refused):
        return deny_token("", parsed)
    issuer = parsed.claims.get("iss")
    verdict: Decision = WRONG_ISSUER
    for check in checks:
        # The issuer is not proven yet: it only picks the keys and the policy that the token has to pass.
        if check.policy.issuer is None or check.policy.issuer == issuer:
            verdict = _decide_with(rule, check, parsed, keys_of, now, tell)
            if isinstance(verdict, Allow):
                return verdict
        elif tell is not None:
            tell(steps.of_other_issuer(check, parsed))
    return verdict


def decide_opaque(
    rule: Rule, check: JwtCheck, token: str, known: KnownOf, now: float, *, tell: Tell | None = None
) -> Decision:
    """Judge a token by what its issuer says of it, at ``now``; ``tell`` as in :func:`decide_token`."""
    assert check.introspection is not None  # noqa: S101  such checks are what this is for
    found = known(check.introspection, token)
    if found is None:
        return NeedsIntrospection(introspection=check.introspection, token=token)
    refused = INACTIVE if isinstance(found, Inactive) else check_claims(found.claims, check.policy, now)
    if tell is not None:
        tell(steps.of_introspection(check.provider, refused))
    if refused is not None or isinstance(found, Inactive):
        return deny_token(check.provider, refused or INACTIVE)
    until = min(found.claims.get("exp", math.inf) + check.policy.leeway, found.until)
    return _allow_token(rule, check, Verified(found.claims, None, until), tell)


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeyHolder:
    """What is known of who has a good API key."""

    key_id: str
    owner: str | None = None
    tier: str | None = None
    scopes: frozenset[str] = frozenset()
    until: float = math.inf
    """Seconds since the epoch."""
    shelf: Shelf | None = None


def decide_api_key(
    rule: Rule, check: ApiKeyCheck, key: str, book: KeyBook, now: float, *, tell: Tell | None = None
) -> Decision:
    """Judge an API key at ``now`` (seconds since the epoch); ``tell`` as in :func:`decide_token`."""
    found: _KeyHolder | Deny | Unavailable | None = _in_document(check, key)
    if found is None and check.managed:
        found = _in_book(check, key, book, now)
    if tell is not None:
        tell(steps.of_api_key(check.provider, found.key_id if isinstance(found, _KeyHolder) else None))
    if isinstance(found, _KeyHolder):
        return _authorize_key(rule, check, found, tell)
    return found or deny_api_key(check.provider)


def _in_document(check: ApiKeyCheck, key: str) -> _KeyHolder | None:
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    for known in check.keys.get(digest[:KEY_PREFIX], ()):
        if hmac.compare_digest(known.digest, digest):
            return _KeyHolder(key_id=known.key_id)
    return None


def _in_book(check: ApiKeyCheck, key: str, book: KeyBook, now: float) -> _KeyHolder | Deny | Unavailable | None:
    """``None`` for what nobody can have been given: a typing mistake is no reason to look anything up."""
    read = book.read(key)
    if read is None:
        return None
    found = book.find(read, check.provider, now)
    if found is None:
        is_known = book.is_complete
        return deny_api_key(check.provider, source=book.shelf(read)) if is_known else api_keys_unknown(check.provider)
    known, until = found
    return _KeyHolder(
        key_id=known.id,
        owner=known.owner,
        tier=known.tier or None,
        scopes=frozenset(known.scopes),
        until=math.inf if until is None else until,
        shelf=book.shelf(read),
    )


def _decide_with(
    rule: Rule, check: JwtCheck, parsed: Parsed, keys_of: KeysOf, now: float, tell: Tell | None
) -> Decision:
    refused = check_content(parsed, check.policy, now=now)
    if tell is not None:
        for step in steps.of_content(check, parsed, refused, now):
            tell(step)
    if refused is not None:
        return deny_token(check.provider, refused)
    key_set = keys_of(check.source)
    if tell is not None:
        tell(steps.of_keys(check, key_set))
    if key_set is None or not key_set.keys:
        return NeedsKeys(source=check.source, kid=None)
    result = check_signature(parsed, key_set, check.policy)
    if tell is not None:
        tell(steps.of_signature(check, parsed, result))
    if isinstance(result, Verified):
        return _allow_token(rule, check, result, tell)
    if result.reason is Reason.UNKNOWN_KEY and parsed.kid is not None:
        return NeedsKeys(source=check.source, kid=parsed.kid)
    refuted = result.reason is Reason.SIGNATURE
    return deny_token(check.provider, result, source=check.source if refuted else None)


def _allow_token(rule: Rule, check: JwtCheck, verified: Verified, tell: Tell | None) -> Decision:
    claims = verified.claims
    granted = granted_scopes(claims)
    if tell is not None and rule.scopes:
        tell(steps.of_scopes(check.provider, rule.scopes, granted))
    if not rule.scopes <= granted:
        return deny_scopes(check.provider, rule.scopes)
    failed = rule.authorization.refuses_claims(claims)
    if failed is not None:
        return deny_forbidden(check.provider, failed)
    headers = forwarded_headers(claims, check.forward)
    if tell is not None:
        tell(steps.of_forwarding(check.provider, headers))
    if headers is None:
        return deny_token(check.provider, Refused(Reason.TOO_LARGE, "a claim is too long for a request header"))
    if tell is not None and check.revocation is not None:
        tell(steps.of_revocation(check.provider))
    subject = claims.get("sub")
    identity = Identity(
        provider=check.provider,
        user=f"{check.provider}:{subject}" if subject else None,
        user_id=subject,
        tier=_tier(check, claims),
        scopes=_told_scopes(granted),
    )
    caller = _caller(rule, claims, identity, granted)
    failed = rule.authorization.refuses_caller(caller)
    if failed is not None:
        return deny_forbidden(check.provider, failed)
    stripped = _stripped(rule, check)
    return Allow(
        identity=Identity(provider=check.provider, user=None) if rule.is_witness else identity,
        caller=caller,
        set_headers=headers,
        remove_headers=_removed(rule, headers, stripped),
        remove_cookies=rule.refresh_cookies.union(_names(stripped, "cookie")),
        remove_parameters=tuple(sorted(_names(stripped, "query"))),
        expires_at=verified.expires_at,
        source=check.source if check.introspection is None else None,
        revocable=_revocable(check, claims),
    )


def _revocable(check: JwtCheck, claims: Mapping[str, Any]) -> Revocable | None:
    if check.revocation is None:
        return None
    return revocable(check.provider, claims, unknown_passes=check.revocation == "allow")


def _authorize_key(rule: Rule, check: ApiKeyCheck, holder: _KeyHolder, tell: Tell | None) -> Decision:
    """A key of the document grants no scope, and none has claims."""
    if tell is not None and rule.scopes:
        tell(steps.of_scopes(check.provider, rule.scopes, holder.scopes))
    if not rule.scopes <= holder.scopes:
        return deny_scopes(check.provider, rule.scopes)
    identity = Identity(
        provider=check.provider,
        user=f"{check.provider}:{holder.owner or holder.key_id}",
        user_id=holder.owner,
        api_key=f"{check.provider}:{holder.key_id}",
        tier=holder.tier,
        scopes=_told_scopes(holder.scopes),
    )
    caller = _caller(rule, {}, identity, holder.scopes)
    failed = rule.authorization.refuses_claims({}) or rule.authorization.refuses_caller(caller)
    return (
        _allow_key(rule, check, holder, caller, identity) if failed is None else deny_forbidden(check.provider, failed)
    )


def _caller(rule: Rule, claims: Mapping[str, Any], identity: Identity, granted: frozenset[str]) -> Caller:
    """What the rule's expression may know; nothing where there is none."""
    if rule.authorization.expression is None:
        return NOBODY
    members = ((name, getattr(identity, name)) for name in ("provider", "user", "user_id", "api_key", "tier"))
    return Caller(claims, {"scopes": sorted(granted)} | {name: text for name, text in members if text})


def _allow_key(rule: Rule, check: ApiKeyCheck, holder: _KeyHolder, caller: Caller, identity: Identity) -> Allow:
    headers = {check.forward_id: header_value(holder.key_id)} if check.forward_id else {}
    stripped = _stripped(rule, None)
    return Allow(
        identity=Identity(provider=check.provider, user=None) if rule.is_witness else identity,
        caller=caller,
        set_headers=headers,
        remove_headers=_removed(rule, headers, stripped),
        remove_cookies=rule.refresh_cookies.union(_names(stripped, "cookie")),
        remove_parameters=tuple(sorted(_names(stripped, "query"))),
        expires_at=holder.until,
        source=holder.shelf,
    )


def _stripped(rule: Rule, winner: JwtCheck | None) -> frozenset[TokenPlace]:
    """Where no token may stand any more: places of checks that do not forward theirs, whichever credential won."""
    kept = winner.places if winner is not None and winner.forward_token else ()
    return frozenset(place for check in rule.jwt if not check.forward_token for place in check.places) - set(kept)


def _names(places: Iterable[TokenPlace], kind: str) -> Iterator[str]:
    return (place.name for place in places if place.kind == kind)


def _removed(rule: Rule, headers: Mapping[str, str], stripped: frozenset[TokenPlace]) -> tuple[str, ...]:
    """Envoy removes after it sets, so what is set must not be named. Keys are stripped whichever credential won."""
    secrets = {check.header for check in rule.api_keys if not check.forward_key}
    return tuple(sorted((rule.identity_headers | secrets | {*_names(stripped, "header")}) - headers.keys()))


def _tier(check: JwtCheck, claims: Mapping[str, Any]) -> str | None:
    """What is no short plain text is no tier: it stands in metadata, logs and names of counters."""
    value = None if check.tier is None else check.tier.value_in(claims)
    return value if isinstance(value, str) and _TIER.fullmatch(value) else None


def _told_scopes(granted: frozenset[str]) -> str | None:
    """All of them, or none where they are too many to be told: a part would say that the rest is not granted."""
    text = " ".join(sorted(granted))
    return text if 0 < len(text) <= MAX_SCOPES_LENGTH else None


def granted_scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """What the token grants: ``scope`` (RFC 8693 §4.2, words in a string) or ``scp`` (words or an array)."""
    value = claims.get("scope", claims.get("scp", ""))
    words = value.split() if isinstance(value, str) else value
    return frozenset(word for word in words if isinstance(word, str)) if isinstance(words, list) else frozenset()
