"""Names of buckets in the store: hashes, so that no credential or address stands in a key."""

from __future__ import annotations

from hashlib import blake2b

PREFIX = b"gateway:limit:1:"
"""Of every key that this service writes; the number changes when the stored form does."""

_DIGEST_BYTES = 16


def key_seed(*parts: str) -> blake2b:
    """A hash begun with ``parts``, each with its length in front: ``("a", "bc")`` and ``("ab", "c")`` differ."""
    seed = blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        _add(seed, part)
    return seed


def bucket_key(seed: blake2b, *caller: str) -> bytes:
    """The key of one caller's bucket."""
    hashed = seed.copy()
    for part in caller:
        _add(hashed, part)
    return PREFIX + hashed.hexdigest().encode()


def _add(hashed: blake2b, part: str) -> None:
    data = part.encode()
    hashed.update(len(data).to_bytes(8, "big") + data)
