"""Decides about API keys: those of the document, and those that are made while the gateway runs. Pure."""

from __future__ import annotations

import hashlib
import hmac
import math
from dataclasses import dataclass

from ext_authz import steps
from ext_authz.allowing import allowed, caller_of, told_scopes
from ext_authz.decision import Decision, Identity
from ext_authz.denials import Deny, Unavailable, api_keys_unknown, deny_api_key, deny_forbidden, deny_scopes
from ext_authz.forwarding import header_value
from ext_authz.key_book import KeyBook, Shelf
from ext_authz.rules import KEY_PREFIX, ApiKeyCheck, Rule
from ext_authz.steps import Tell


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
            return _KeyHolder(key_id=known.key_id, tier=known.tier)
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
        scopes=told_scopes(holder.scopes),
    )
    caller = caller_of(rule, {}, identity, holder.scopes)
    failed = rule.authorization.refuses_claims({}) or rule.authorization.refuses_caller(caller)
    if failed is not None:
        return deny_forbidden(check.provider, failed)
    headers = {check.forward_id: header_value(holder.key_id)} if check.forward_id else {}
    return allowed(
        rule, identity=identity, caller=caller, headers=headers, expires_at=holder.until, source=holder.shelf
    )
