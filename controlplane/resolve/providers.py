"""Identity providers, defaults filled in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from controlplane import model
from controlplane.config import GatewayConfig
from controlplane.config.authentication import ApiKey
from controlplane.config.introspection import Introspection
from controlplane.config.public_keys import Jwks
from controlplane.config.token_places import AUTHORIZATION, BEARER, TokenPlace
from controlplane.config.tokens import ANY, Jwt, TokenAlgorithm
from controlplane.resolve.draft import Draft

_NO_KEYS_SECONDS = 600.0
"""The contract wants a time for keys, of which there are none."""
_DEFAULT_TYPES = ("", "at+jwt", "jwt")


def resolve_providers(document: GatewayConfig, draft: Draft) -> None:
    """Turn every provider into its model."""
    for name, provider in document.authentication.items():
        if provider.jwt is not None:
            draft.identity_providers.append(_jwt(name, provider.jwt))
        elif provider.introspection is not None:
            draft.identity_providers.append(_opaque(name, provider.introspection))
        elif provider.api_key is not None:
            draft.identity_providers.append(_api_key(name, provider.api_key))


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
