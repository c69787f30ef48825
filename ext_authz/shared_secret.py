"""A secret that the issuer of tokens and this service share (RFC 7518 §3.2), as the only key of its set."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from typing import Final

from ext_authz.algorithms import HMAC_OCTETS
from ext_authz.errors import KeySetError
from ext_authz.keys import Key, KeySet

_PUBLISHED: Final = re.compile(rb"\s*(?:-----BEGIN |ssh-|ecdsa-sha2-|\{)")
"""How keys begin that others may know. As a secret, such a text is the confusion of RFC 8725 §2.1 made by hand."""


class SharedSecret(bytes):
    """What an HMAC is made with; no text of it says what it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SharedSecret(...)"

    __str__ = __repr__


def secret_key_set(secret: bytes, algorithms: Collection[str]) -> KeySet:
    """The set with this one key, which is good for ``algorithms`` whatever ``kid`` a token names.

    Raises:
        KeySetError: the secret is shorter than the digest of one of the algorithms, or is no secret but a key that is
            published; or an algorithm is not HMAC. The text says nothing of the secret.
    """
    if not algorithms or not HMAC_OCTETS.keys() >= set(algorithms):
        raise KeySetError(f"a secret is for {', '.join(HMAC_OCTETS)} only")
    for name in sorted(algorithms):
        if len(secret) < HMAC_OCTETS[name]:
            raise KeySetError(f"{name} needs a secret of at least {HMAC_OCTETS[name]} bytes (RFC 7518 §3.2)")
    if _PUBLISHED.match(secret):
        raise KeySetError("this is a key in PEM, SSH or JSON form and no secret")
    key = Key(None, frozenset(algorithms), SharedSecret(secret))
    named = ",".join(sorted(algorithms)).encode()
    return KeySet(keys=(key,), version=hashlib.sha256(named + b"\0" + secret).digest())
