"""What a yes is made of, whichever credential it came of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ext_authz.authorization import NOBODY, Caller
from ext_authz.decision import Allow, Identity
from ext_authz.key_book import Shelf
from ext_authz.revocations import Revocable
from ext_authz.rules import JwtCheck, KeySource, Rule
from servicekit.contracts import TokenPlace

MAX_SCOPES_LENGTH: Final = 4096
"""Characters of the scopes that others are told."""


def allowed(
    rule: Rule,
    *,
    identity: Identity,
    caller: Caller,
    headers: Mapping[str, str],
    expires_at: float,
    source: KeySource | Shelf | None,
    winner: JwtCheck | None = None,
    revocable: Revocable | None = None,
) -> Allow:
    """The request may pass.

    ``headers`` are what the backend gets to know by them, and ``winner`` is the check whose token it was, if it was
    one; the rest is as in :class:`Allow`.
    """
    stripped = _stripped(rule, winner)
    return Allow(
        identity=Identity(provider=identity.provider, user=None) if rule.is_witness else identity,
        caller=caller,
        set_headers=headers,
        remove_headers=_removed(rule, headers, stripped),
        remove_cookies=rule.refresh_cookies.union(_names(stripped, "cookie")),
        remove_parameters=tuple(sorted(_names(stripped, "query"))),
        expires_at=expires_at,
        source=source,
        revocable=revocable,
    )


def caller_of(rule: Rule, claims: Mapping[str, Any], identity: Identity, granted: frozenset[str]) -> Caller:
    """What the rule's expression may know; nothing where there is none."""
    if rule.authorization.expression is None:
        return NOBODY
    members = ((name, getattr(identity, name)) for name in ("provider", "user", "user_id", "api_key", "tier"))
    return Caller(claims, {"scopes": sorted(granted)} | {name: text for name, text in members if text})


def told_scopes(granted: frozenset[str]) -> str | None:
    """All of them, or none where they are too many to be told: a part would say that the rest is not granted."""
    text = " ".join(sorted(granted))
    return text if 0 < len(text) <= MAX_SCOPES_LENGTH else None


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
