"""Gets the keys of one source from where they are: a URL, one that the issuer names, or a file among the secrets."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from ext_authz.discovery import published_jwks_uri
from ext_authz.errors import KeyFetchError, KeySetError
from ext_authz.key_fetcher import FetchKeys
from ext_authz.keys import KeySet
from ext_authz.rules import KeySource
from ext_authz.shared_secret import secret_key_set
from servicekit.secret_reference import SecretReferenceError, Secrets

FILE_DEADLINE: Final = 5.0
"""Seconds for reading a file, which may be on a network."""


async def load_keys(source: KeySource, *, fetcher: FetchKeys, secrets: Secrets) -> KeySet:
    """The keys as they are now.

    Raises:
        KeyFetchError: they can't be had.
        KeySetError: what is had are no keys.
    """
    if not source.reference:
        return KeySet.from_jwks(await fetcher.fetch(await _jwks_uri(source, fetcher)))
    try:
        async with asyncio.timeout(FILE_DEADLINE):
            return await asyncio.to_thread(referenced_keys, source.reference, source.secret_for, secrets)
    except TimeoutError as error:
        raise KeyFetchError(f"{source.reference}: not read within {FILE_DEADLINE:g} s") from error


async def _jwks_uri(source: KeySource, fetcher: FetchKeys) -> str:
    """Asked again each time: a provider may move its keys."""
    if not source.issuer:
        return source.uri
    metadata = await fetcher.fetch(source.uri)
    return published_jwks_uri(metadata, source.issuer, allow_insecure=source.allow_insecure)


def referenced_keys(reference: str, secret_for: Collection[str], secrets: Secrets) -> KeySet:
    """The secret for the algorithms ``secret_for``, or public keys when there are none; at most 64 KiB.

    Raises:
        KeyFetchError: the reference leads to nothing.
        KeySetError: what it leads to is of no use: a secret that is too short, or no public key.
    """
    try:
        data = secrets.resolve(reference)
    except SecretReferenceError as error:
        raise KeyFetchError(str(error)) from error
    try:
        return secret_key_set(data, secret_for) if secret_for else public_keys(data)
    except KeySetError as error:
        raise KeySetError(f"{reference}: {error}") from error


def public_keys(data: bytes) -> KeySet:
    """A JWK Set or a PEM in which at least one key is of use.

    Raises:
        KeySetError: it is neither, or has none.
    """
    key_set = KeySet.from_jwks(data) if data.lstrip()[:1] == b"{" else KeySet.from_pem(data)
    if not key_set.keys:
        reasons = "; ".join(skipped.why for skipped in key_set.skipped)
        raise KeySetError(f"no usable key ({reasons or 'empty'})")
    return key_set
