"""Where the keys of a provider are, as the policy says it, becomes a source of keys; or is refused as unsafe."""

from __future__ import annotations

import math
from typing import Final

from ext_authz.discovery import metadata_uri
from ext_authz.errors import KeyFetchError, KeySetError, PolicyError
from ext_authz.key_loader import public_keys, referenced_keys
from ext_authz.key_uri import unsafe
from ext_authz.keys import KeySet
from ext_authz.rules import KeySource
from servicekit.contracts import JwtProvider
from servicekit.secret_reference import Secrets

FILE_TTL: Final = 1.25
"""Age in seconds at which a file is looked at again, about every second."""


def key_source(provider: JwtProvider, secrets: Secrets) -> KeySource:
    """The source of the provider's keys. What does not come over the network is read now.

    Raises:
        PolicyError: there are several places, or an unsafe one, or one without a usable key.
    """
    alone = [name for name in ("secret", "pem", "jwks_file") if getattr(provider, name) is not None]
    alone += ["discovery"] if provider.discovery else []
    others = [name for name in ("jwks", "jwks_uri") if getattr(provider, name)]
    if len(alone) > 1 or (alone and others):
        raise PolicyError(f"{' and '.join(alone + others)} exclude each other")
    reference = provider.secret or provider.jwks_file
    if reference is not None:
        return _referenced(provider, reference, secrets)
    if provider.pem is not None or provider.jwks is not None:
        return _given(provider, _written_keys(provider))
    if provider.discovery:
        return _fetched(provider, _discovered(provider), provider.issuer or "")
    _require_safe("jwks_uri", provider.jwks_uri, allow_insecure=provider.allow_insecure_jwks)
    return _fetched(provider, provider.jwks_uri)


def no_keys(provider: JwtProvider) -> KeySource:
    """Where the issuer is asked about tokens there are none."""
    return KeySource(provider=provider.name, ttl=math.inf, stale=0, cooldown=math.inf, given=KeySet())


def _discovered(provider: JwtProvider) -> str:
    issuer = provider.issuer or ""
    _require_safe("discovery: the issuer", issuer, allow_insecure=provider.allow_insecure_jwks)
    if "?" in issuer:
        raise PolicyError("discovery: the issuer has a query")
    return metadata_uri(issuer)


def _fetched(provider: JwtProvider, uri: str, issuer: str = "") -> KeySource:
    return KeySource(
        provider=provider.name,
        uri=uri,
        issuer=issuer,
        allow_insecure=provider.allow_insecure_jwks,
        ttl=provider.jwks_ttl_seconds,
        stale=provider.jwks_stale_seconds,
        cooldown=provider.jwks_cooldown_seconds,
    )


def _referenced(provider: JwtProvider, reference: str, secrets: Secrets) -> KeySource:
    secret_for = frozenset(provider.algorithms) if provider.secret is not None else frozenset()
    name = "secret" if secret_for else "jwks_file"
    try:
        keys = referenced_keys(reference, secret_for, secrets)
    except (KeyFetchError, KeySetError) as error:
        raise PolicyError(f"{name}: {error}") from error
    return _given(provider, keys, reference, secret_for)


def _given(
    provider: JwtProvider, keys: KeySet, reference: str = "", secret_for: frozenset[str] = frozenset()
) -> KeySource:
    """Keys that are there at once, and for as long as there are no others."""
    return KeySource(
        provider=provider.name,
        ttl=FILE_TTL,
        stale=math.inf,
        cooldown=provider.jwks_cooldown_seconds,
        reference=reference,
        secret_for=secret_for,
        given=keys,
        version=keys.version,
    )


def _written_keys(provider: JwtProvider) -> KeySet:
    name, text = ("jwks", provider.jwks or "") if provider.pem is None else ("pem", provider.pem)
    try:
        return KeySet.from_pem(text) if name == "pem" else public_keys(text.encode())
    except KeySetError as error:
        raise PolicyError(f"{name}: {error}") from error


def _require_safe(name: str, uri: str, *, allow_insecure: bool) -> None:
    why = unsafe(uri, allow_insecure=allow_insecure)
    if why is not None:
        raise PolicyError(f"{name} {why}")
