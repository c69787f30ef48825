"""Policies: identity providers and rate limits, defaults filled in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

from controlplane import model
from controlplane.config import GatewayConfig
from controlplane.config.authentication import ApiKey
from controlplane.config.introspection import Introspection
from controlplane.config.problems import Path
from controlplane.config.public_keys import Jwks
from controlplane.config.rate_limits import RateLimit, Tier
from controlplane.config.token_places import AUTHORIZATION, BEARER, TokenPlace
from controlplane.config.tokens import ANY, Jwt, TokenAlgorithm
from controlplane.resolve.draft import Draft
from servicekit.contracts.limit_policy import LONGEST_FILL_SECONDS

_NO_KEYS_SECONDS = 600.0
"""The contract wants a time for keys, of which there are none."""
_DEFAULT_TYPES = ("", "at+jwt", "jwt")


def resolve_policies(document: GatewayConfig, draft: Draft) -> None:
    """Turn every provider and every limit into its model."""
    for name, provider in document.authentication.items():
        if provider.jwt is not None:
            draft.identity_providers.append(_jwt(name, provider.jwt))
        elif provider.introspection is not None:
            draft.identity_providers.append(_opaque(name, provider.introspection))
        elif provider.api_key is not None:
            draft.identity_providers.append(_api_key(name, provider.api_key))
    for name, written in document.rate_limits.items():
        limit = _rate_limit(name, written)
        draft.rate_limits.append(limit)
        _check_limit(("rate_limits", name), limit, written.burst, draft)
        for tier in limit.tiers:
            burst = written.tiers[tier.name].burst
            path: Path = ("rate_limits", name, "tiers", tier.name)
            _check_limit(path, replace(limit, **_amount(tier)), burst, draft)
            if limit.algorithm != "token_bucket" and tier.period != limit.period:
                message = "windows of another length are other windows: who changes the tier would begin anew"
                draft.refuse((*path, "per"), "tier-window", message, "remove per, or take a token_bucket")
        if limit.tiers and limit.by == "ip":
            message = "limits by ip are asked for before anybody is known"
            draft.refuse(("rate_limits", name, "tiers"), "tiers-by-ip", message, "limit by user or api_key")


def _check_limit(path: Path, limit: model.RateLimit, burst: int | None, draft: Draft) -> None:
    if burst is not None and limit.algorithm != "token_bucket":
        message = f"a {limit.algorithm} lets `requests` through at once, whatever the burst"
        draft.refuse((*path, "burst"), "no-burst", message, "remove burst, or take a token_bucket")
    elif limit.algorithm == "token_bucket" and limit.burst * limit.period / limit.requests > LONGEST_FILL_SECONDS:
        message = f"{limit.burst} tokens at {limit.requests} in {limit.period:g} s would take over a century to gather"
        draft.refuse((*path, "burst"), "never-full", message, "lower burst, or raise requests")


def _amount(tier: model.Tier) -> dict[str, Any]:
    return {"requests": tier.requests, "period": tier.period, "burst": tier.burst}


def _jwt(name: str, written: Jwt) -> model.JwtProvider:
    return model.JwtProvider(
        name=name,
        issuer=None if written.issuer == ANY else written.issuer,
        audiences=None if ANY in written.audiences else tuple(written.audiences),
        algorithms=_algorithms(written),
        jwks_uri=written.jwks_uri,
        leeway=written.leeway,
        jwks_ttl=written.jwks_ttl,
        jwks_stale=written.jwks_stale,
        forward_claims=MappingProxyType(dict(written.forward_claims)),
        jwks=_key_set(written.jwks),
        jwks_file=written.jwks_file,
        pem=written.pem,
        secret=written.secret,
        discovery=written.discovery is not None,
        required_claims=tuple(written.required_claims),
        types=_types(written.types),
        max_lifetime=written.max_lifetime,
        token_from=() if _is_usual(written) else tuple(_place(place) for place in written.token_from),
        tier_claim=written.tier_claim,
        forward_token=_is_usual(written) if written.forward_token is None else written.forward_token,
        revocation=written.revocation.on_store_failure if written.revocation is not None else None,
        refresh=_refresh(written),
    )


def _opaque(name: str, written: Introspection) -> model.JwtProvider:
    return model.JwtProvider(
        name=name,
        issuer=None if written.issuer == ANY else written.issuer,
        audiences=None if ANY in written.audiences else tuple(written.audiences),
        algorithms=(),
        jwks_uri=None,
        leeway=written.leeway,
        jwks_ttl=_NO_KEYS_SECONDS,
        jwks_stale=0,
        forward_claims=MappingProxyType(dict(written.forward_claims)),
        required_claims=tuple(written.required_claims),
        token_from=() if _is_usual(written) else tuple(_place(place) for place in written.token_from),
        tier_claim=written.tier_claim,
        forward_token=_is_usual(written) if written.forward_token is None else written.forward_token,
        revocation=written.revocation.on_store_failure if written.revocation is not None else None,
        introspection=model.Introspection(
            uri=written.uri, client_id=written.client_id, client_secret=written.client_secret, ttl=written.ttl
        ),
    )


def _refresh(written: Jwt) -> model.TokenRefresh | None:
    refresh = written.refresh
    if refresh is None:
        return None
    return model.TokenRefresh(
        token_uri=refresh.token_uri,
        client_id=refresh.client_id,
        client_secret=refresh.client_secret,
        access_cookie=written.access_cookie or "",
        refresh_cookie=refresh.cookie,
        path=refresh.path,
        same_site=_SAME_SITE[refresh.same_site],
        secure=refresh.secure,
        lifetime=None if refresh.lifetime is None else int(refresh.lifetime),
    )


_SAME_SITE: Mapping[str, Literal["Strict", "Lax", "None"]] = {"strict": "Strict", "lax": "Lax", "none": "None"}


def _algorithms(written: Jwt) -> tuple[TokenAlgorithm, ...]:
    if written.algorithms is not None:
        return tuple(written.algorithms)
    return ("RS256", "ES256", "EdDSA") if written.secret is None else ("HS256",)


def _key_set(written: Jwks | None) -> str | None:
    """JSON that is the same for equal sets, in whatever order their members were written."""
    return (
        None
        if written is None
        else json.dumps(written.model_dump(exclude_none=True), sort_keys=True, separators=(",", ":"))
    )


def _is_usual(written: Jwt | Introspection) -> bool:
    return len(written.token_from) == 1 and written.token_from[0].is_usual


def _place(written: TokenPlace) -> model.TokenPlace:
    if written.header is not None:
        usual = BEARER if written.header == AUTHORIZATION else ""
        prefix = usual if written.prefix is None else written.prefix
        return model.TokenPlace(kind="header", name=written.header, prefix=prefix)
    if written.cookie is not None:
        return model.TokenPlace(kind="cookie", name=written.cookie)
    return model.TokenPlace(kind="query", name=written.query or "")


def _types(written: list[str]) -> tuple[str, ...]:
    """In lower case without ``application/`` (RFC 7515 §4.1.9); nothing where it is what nothing stands for."""
    types = tuple(sorted({text.lower().removeprefix("application/") for text in written}))
    return () if types == _DEFAULT_TYPES else types


def _api_key(name: str, written: ApiKey) -> model.ApiKeyProvider:
    digests = {key_id: digest.removeprefix("sha256:").lower() for key_id, digest in written.keys.items()}
    return model.ApiKeyProvider(
        name=name,
        header=written.header,
        keys=MappingProxyType(digests),
        forward_id=written.forward_id,
        tiers=MappingProxyType(dict(written.tiers)),
        managed=written.managed,
    )


def _rate_limit(name: str, written: RateLimit) -> model.RateLimit:
    return model.RateLimit(
        name=name,
        by=written.by,
        enforce=written.enforce,
        algorithm=written.algorithm,
        requests=written.requests,
        period=written.per,
        burst=written.requests if written.burst is None else written.burst,
        on_store_failure=written.on_store_failure,
        tiers=tuple(_tier(tier, amount, written) for tier, amount in sorted(written.tiers.items())),
    )


def _tier(name: str, written: Tier, limit: RateLimit) -> model.Tier:
    return model.Tier(
        name=name,
        requests=written.requests,
        period=limit.per if written.per is None else written.per,
        burst=written.requests if written.burst is None else written.burst,
    )
