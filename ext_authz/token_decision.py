"""Decides about tokens: a rule and what is known of keys and issuers become a decision. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from ext_authz import steps
from ext_authz.allowing import allowed, caller_of, told_scopes
from ext_authz.claims import check_claims
from ext_authz.decision import Allow, Decision, Identity, NeedsIntrospection, NeedsKeys
from ext_authz.denials import INACTIVE, WRONG_ISSUER, deny_forbidden, deny_scopes, deny_token
from ext_authz.forwarding import forwarded_headers
from ext_authz.introspection import Inactive, Introspection, Known
from ext_authz.jwt import Parsed, Verified, check_content, check_signature, parse
from ext_authz.keys import KeySet
from ext_authz.refusals import Reason, Refused
from ext_authz.revocations import Revocable, revocable
from ext_authz.rules import JwtCheck, KeySource, Rule
from ext_authz.steps import Tell
from servicekit.contracts.auth_policy import TIER_PATTERN

_TIER: Final = re.compile(TIER_PATTERN)

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
        scopes=told_scopes(granted),
    )
    caller = caller_of(rule, claims, identity, granted)
    failed = rule.authorization.refuses_caller(caller)
    if failed is not None:
        return deny_forbidden(check.provider, failed)
    return allowed(
        rule,
        identity=identity,
        caller=caller,
        headers=headers,
        winner=check,
        expires_at=verified.expires_at,
        source=check.source if check.introspection is None else None,
        revocable=_revocable(check, claims),
    )


def _revocable(check: JwtCheck, claims: Mapping[str, Any]) -> Revocable | None:
    if check.revocation is None:
        return None
    return revocable(check.provider, claims, unknown_passes=check.revocation == "allow")


def _tier(check: JwtCheck, claims: Mapping[str, Any]) -> str | None:
    """What is no short plain text is no tier: it stands in metadata, logs and names of counters."""
    value = None if check.tier is None else check.tier.value_in(claims)
    return value if isinstance(value, str) and _TIER.fullmatch(value) else None


def granted_scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """What the token grants: ``scope`` (RFC 8693 §4.2, words in a string) or ``scp`` (words or an array)."""
    value = claims.get("scope", claims.get("scp", ""))
    words = value.split() if isinstance(value, str) else value
    return frozenset(word for word in words if isinstance(word, str)) if isinstance(words, list) else frozenset()
