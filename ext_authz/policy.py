"""AuthPolicy, as the control plane wrote it, becomes rules that can be enforced; or is refused as a whole."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ext_authz.algorithms import ASYMMETRIC, HMAC_OCTETS
from ext_authz.authorization import ANYONE, compile_authorization
from ext_authz.credentials import AUTHORIZATION
from ext_authz.errors import PolicyError
from ext_authz.forwarding import ForwardedClaim
from ext_authz.issuer_policy import compile_introspection, compile_refresh
from ext_authz.jwt import DEFAULT_TYPES, JwtPolicy, TokenLimits
from ext_authz.key_place import key_source, no_keys
from ext_authz.rules import KEY_PREFIX, ApiKeyCheck, ApiKeyHash, JwtCheck, Rule, TokenGroup
from ext_authz.token_places import DEFAULT_PLACES, finder
from servicekit.contracts import ApiKeyProvider, AuthPolicy, AuthRule, AuthRules, JwtProvider, Provider, TokenPlace
from servicekit.contracts.auth_policy import TIER_PATTERN
from servicekit.secret_reference import NO_SECRETS, Secrets

_HEADER_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+\-.^_`|~]+")
_TIER: Final = re.compile(TIER_PATTERN)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 §3.3
_PLACE_NAME: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_PREFIX: Final = re.compile(r"[A-Za-z0-9._~+/=:-]*[ ]?")
_RESERVED_HEADERS: Final = frozenset(
    {"authorization", "connection", "content-length", "cookie", "host", "te", "transfer-encoding", "upgrade"}
)


def compile_policy(policy: AuthRules, secrets: Secrets = NO_SECRETS) -> dict[str, Rule]:
    """The rules of ``policy`` by their id. What it refers to is among ``secrets``.

    Raises:
        PolicyError: something in it can't be enforced; the text names every mistake.
    """
    problems: list[str] = []
    checks = _compile_providers(policy.providers, secrets, problems)
    for rule_id, rule in policy.rules.items():
        unknown = [name for name in rule.any_of if name not in checks]
        problems += [f"rule {rule_id!r}: there is no provider {name!r}" for name in unknown]
        bad_scopes = [scope for scope in rule.scopes if not _SCOPE.fullmatch(scope)]
        problems += [f"rule {rule_id!r}: {scope!r} is not a scope" for scope in bad_scopes]
        try:
            compile_authorization(rule.authorize)
        except ValueError as error:
            problems.append(f"rule {rule_id!r}: authorize: {error}")
    problems += [f"identity header {name!r} {why}" for name in policy.identity_headers if (why := _bad_header(name))]
    if problems:
        raise PolicyError("; ".join(problems))
    identity = _identity_headers(policy)
    return {rule_id: _compile_rule(rule_id, rule, checks, policy, identity) for rule_id, rule in policy.rules.items()}


def compile_others(policy: AuthPolicy, secrets: Secrets = NO_SECRETS) -> dict[str, Rule]:
    """The rules beside those of ``policy``; of two with one id the first counts.

    Raises:
        PolicyError: as :func:`compile_policy`.
    """
    found: dict[str, Rule] = {}
    for place, other in enumerate(policy.others):
        try:
            found = compile_policy(other, secrets) | found
        except PolicyError as error:
            raise PolicyError(f"others[{place}]: {error}") from None
    return found


def _compile_providers(
    providers: Iterable[Provider], secrets: Secrets, problems: list[str]
) -> dict[str, JwtCheck | ApiKeyCheck]:
    checks: dict[str, JwtCheck | ApiKeyCheck] = {}
    seen: set[str] = set()
    for provider in providers:
        if provider.name in seen:
            problems.append(f"provider {provider.name!r}: the name is given twice")
        seen.add(provider.name)
        try:
            checks[provider.name] = _compile_provider(provider, secrets)
        except PolicyError as error:
            problems.append(f"provider {provider.name!r}: {error}")
    return checks


def _identity_headers(policy: AuthRules) -> frozenset[str]:
    """What the policy lists, and to be sure everything that its providers set."""
    names = set(policy.identity_headers)
    for provider in policy.providers:
        if isinstance(provider, JwtProvider):
            names.update(provider.forward_claims.values())
        elif provider.forward_id is not None:
            names.add(provider.forward_id)
    return frozenset(names)


def _compile_rule(
    rule_id: str,
    rule: AuthRule,
    checks: Mapping[str, JwtCheck | ApiKeyCheck],
    policy: AuthRules,
    identity_headers: frozenset[str],
) -> Rule:
    chosen = [_as_asked(checks[name], rule) for name in rule.any_of]
    providers = [provider.encode() for provider in policy.providers if provider.name in rule.any_of]
    parts = [rule_id.encode(), rule.encode(), *providers, *(name.encode() for name in sorted(identity_headers))]
    # A provider names its secret only: what that is has to count as well.
    parts += [check.source.version for check in chosen if isinstance(check, JwtCheck)]
    fingerprint = hashlib.sha256(b"\0".join(parts)).digest()
    named = [checks[name] for name in rule.any_of]
    hidden = frozenset(
        check.refresh.refresh_cookie for check in named if isinstance(check, JwtCheck) and check.refresh is not None
    )
    whole = _rule_of(rule_id, rule, chosen, fingerprint, identity_headers, hidden)
    if not rule.needs_all:
        return whole
    return replace(whole, tokens=(), api_keys=(), authorization=ANYONE, parts=tuple(_parts(whole, rule, chosen)))


def _parts(whole: Rule, rule: AuthRule, chosen: Sequence[JwtCheck | ApiKeyCheck]) -> Iterator[Rule]:
    """One rule for each check. A header that several might set is the first one's alone, to set or to remove."""
    taken: set[str] = set()
    settable = [_set_by(check) for check in chosen]
    for number, check in enumerate(chosen):
        elsewhere = taken.union(*settable[number + 1 :]) - (settable[number] - taken)
        mine = _without_headers(check, taken)
        taken |= settable[number]
        fingerprint = hashlib.sha256(whole.fingerprint + b"part" + number.to_bytes(2)).digest()
        part = _rule_of(
            whole.rule_id, rule, [mine], fingerprint, whole.identity_headers - elsewhere, whole.refresh_cookies
        )
        if number > 0:
            part = replace(part, scopes=frozenset(), authorization=ANYONE, is_witness=True)
        yield part


def _set_by(check: JwtCheck | ApiKeyCheck) -> frozenset[str]:
    if isinstance(check, JwtCheck):
        return frozenset(one.header for one in check.forward)
    return frozenset() if check.forward_id is None else frozenset({check.forward_id})


def _without_headers(check: JwtCheck | ApiKeyCheck, headers: Collection[str]) -> JwtCheck | ApiKeyCheck:
    if isinstance(check, JwtCheck):
        return replace(check, forward=tuple(one for one in check.forward if one.header not in headers))
    return replace(check, forward_id=None) if check.forward_id in headers else check


def _rule_of(
    rule_id: str,
    rule: AuthRule,
    chosen: Sequence[JwtCheck | ApiKeyCheck],
    fingerprint: bytes,
    identity_headers: frozenset[str],
    refresh_cookies: frozenset[str],
) -> Rule:
    return Rule(
        rule_id=rule_id,
        fingerprint=fingerprint,
        tokens=_token_groups([check for check in chosen if isinstance(check, JwtCheck)], fingerprint),
        api_keys=tuple(check for check in chosen if isinstance(check, ApiKeyCheck)),
        scopes=frozenset(rule.scopes),
        authorization=compile_authorization(rule.authorize),
        identity_headers=identity_headers,
        limits=TokenLimits(),
        refresh_cookies=refresh_cookies,
    )


def _as_asked(check: JwtCheck | ApiKeyCheck, rule: AuthRule) -> JwtCheck | ApiKeyCheck:
    """The check with what the rule says of its token, if it says anything."""
    if isinstance(check, ApiKeyCheck):
        return check
    if rule.forward_token is not None:
        check = replace(check, forward_token=rule.forward_token)
    return replace(check, refresh=None) if rule.refresh is False else check


def _token_groups(checks: Iterable[JwtCheck], fingerprint: bytes) -> tuple[TokenGroup, ...]:
    by_places: dict[object, list[JwtCheck]] = {}
    for check in sorted(checks, key=lambda check: check.introspection is not None):
        # An issuer that has to be asked is asked last, and about its own tokens alone.
        alone = check.provider if check.introspection is not None else ""
        by_places.setdefault((check.places, alone), []).append(check)
    return tuple(
        TokenGroup(
            checks=tuple(alike),
            find=finder(alike[0].places),
            fingerprint=hashlib.sha256(fingerprint + number.to_bytes(2)).digest(),
        )
        for number, alike in enumerate(by_places.values())
    )


def _compile_provider(provider: JwtProvider | ApiKeyProvider, secrets: Secrets) -> JwtCheck | ApiKeyCheck:
    if not provider.name or ":" in provider.name:
        raise PolicyError("a name is not empty and holds no colon, which would make users ambiguous")
    return _compile_jwt(provider, secrets) if isinstance(provider, JwtProvider) else _compile_api_keys(provider)


def _compile_jwt(provider: JwtProvider, secrets: Secrets) -> JwtCheck:
    if provider.issuer == "" or provider.audiences == () or not all(provider.audiences or ()):
        raise PolicyError("issuer and audiences are mandatory")
    accepted = HMAC_OCTETS.keys() if provider.secret is not None else ASYMMETRIC
    if provider.introspection is None and (not provider.algorithms or not accepted >= set(provider.algorithms)):
        raise PolicyError(f"algorithms have to be some of {', '.join(sorted(accepted))}")
    for header in provider.forward_claims.values():
        if why := _bad_header(header):
            raise PolicyError(f"header {header!r} {why}")
    places = provider.token_from or DEFAULT_PLACES
    for place in places:
        if why := _bad_place(place):
            raise PolicyError(f"token_from: {place.kind} {place.name!r} {why}")
    return JwtCheck(
        provider=provider.name,
        policy=_jwt_policy(provider),
        source=key_source(provider, secrets) if provider.introspection is None else no_keys(provider),
        forward=tuple(ForwardedClaim(claim, header) for claim, header in provider.forward_claims.items()),
        places=places,
        forward_token=provider.forward_token,
        tier=ForwardedClaim(provider.tier_claim, "") if provider.tier_claim else None,
        revocation=provider.revocation,
        refresh=compile_refresh(provider, secrets),
        introspection=compile_introspection(provider, secrets),
    )


def _jwt_policy(provider: JwtProvider) -> JwtPolicy:
    types = frozenset(name.lower().removeprefix("application/") for name in provider.types)
    return JwtPolicy(
        algorithms=frozenset(provider.algorithms) or ASYMMETRIC,  # none where nothing is verified here
        issuer=provider.issuer,
        audiences=None if provider.audiences is None else frozenset(provider.audiences),
        leeway=provider.leeway_seconds,
        required_claims=provider.required_claims,
        types=types or DEFAULT_TYPES,
        max_lifetime=provider.max_lifetime_seconds,
    )


def _compile_api_keys(provider: ApiKeyProvider) -> ApiKeyCheck:
    if not _HEADER_NAME.fullmatch(provider.header):
        raise PolicyError(f"header {provider.header!r} is not a header name in lower case")
    if provider.forward_id is not None and (why := _bad_header(provider.forward_id)):
        raise PolicyError(f"header {provider.forward_id!r} {why}")
    for key_id, tier in provider.tiers.items():
        if key_id not in provider.keys or not _TIER.fullmatch(tier):
            raise PolicyError(f"key {key_id!r}: its tier needs a key, and 1 to 64 letters, digits and . _ ~ -")
    index: dict[bytes, tuple[ApiKeyHash, ...]] = {}
    for key_id, text in provider.keys.items():
        if not key_id or not _SHA256.fullmatch(text):
            raise PolicyError(f"key {key_id!r}: not an id and the SHA-256 of a key in 64 lower-case hex digits")
        digest = bytes.fromhex(text)
        same = index.get(digest[:KEY_PREFIX], ())
        if any(known.digest == digest for known in same):
            raise PolicyError(f"key {key_id!r}: another id has the same key")
        index[digest[:KEY_PREFIX]] = (*same, ApiKeyHash(digest, key_id, provider.tiers.get(key_id)))
    return ApiKeyCheck(
        provider=provider.name,
        header=provider.header,
        keys=index,
        forward_id=provider.forward_id,
        forward_key=provider.forward_key,
        managed=provider.managed,
    )


def _bad_place(place: TokenPlace) -> str | None:
    """Why no token can stand there, or ``None``."""
    if place.kind == "header":
        if place.name != AUTHORIZATION and (why := _bad_header(place.name)):
            return why
        return None if _PREFIX.fullmatch(place.prefix) else "has a prefix that no header has"
    return None if _PLACE_NAME.fullmatch(place.name) else "is not a name of letters, digits and . _ ~ -"


def _bad_header(name: str) -> str | None:
    """Why this can't be a header that carries an identity, or ``None``."""
    if not _HEADER_NAME.fullmatch(name):
        return "is not a header name in lower case"
    if name in _RESERVED_HEADERS:
        return "has a meaning of its own"
    return None
