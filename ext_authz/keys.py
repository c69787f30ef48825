"""The public keys of one issuer: a JWK Set (RFC 7517 §5) or a PEM becomes an immutable :class:`KeySet`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ext_authz.algorithms import CURVE_ALGORITHMS, EDWARDS_ALGORITHM, RSA_ALGORITHMS
from ext_authz.errors import KeySetError
from ext_authz.jose import base64url, strict_object

MAX_SET_BYTES: Final = 256 * 1024
MAX_KEYS: Final = 100
MAX_KID_LENGTH: Final = 256
MIN_RSA_BITS: Final = 2048
"""RFC 7518 §3.3."""
MAX_RSA_BITS: Final = 8192
"""Beyond it one signature costs milliseconds, which is a gift to whoever floods."""
MAX_RSA_EXPONENT: Final = 2**32

_PEM: Final = re.compile(rb"-----BEGIN ((?:RSA )?PUBLIC KEY)-----[^-]*-----END \1-----")

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

_CURVES: Final = {"P-256": (SECP256R1, 32), "P-384": (SECP384R1, 48), "P-521": (SECP521R1, 66)}
_CURVE_NAMES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_EDWARDS: Final[dict[str, tuple[Callable[[bytes], PublicKey], int]]] = {
    "Ed25519": (Ed25519PublicKey.from_public_bytes, 32),
    "Ed448": (Ed448PublicKey.from_public_bytes, 57),
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key and the only algorithms that it may be used with (RFC 8725 §3.1)."""

    kid: str | None
    algorithms: frozenset[str]
    material: object
    """A public key, or the secret of :mod:`ext_authz.shared_secret`, which nothing in this module makes."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A member of a JWK Set that is no use here, and why (RFC 7517 §5: it is ignored, not an error)."""

    position: int
    why: str


@dataclass(frozen=True, slots=True)
class KeySet:
    """All keys that one issuer signs with at one time. A refresh replaces the whole value."""

    keys: tuple[Key, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    version: bytes = b""
    """A hash of what the set was read from: equal documents have equal versions."""
    _by_kid: dict[str | None, tuple[Key, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index: dict[str | None, tuple[Key, ...]] = {}
        for key in self.keys:
            index[key.kid] = (*index.get(key.kid, ()), key)
        object.__setattr__(self, "_by_kid", index)

    def candidates(self, kid: str | None, algorithm: str) -> tuple[Key, ...]:
        """The keys that may have signed a token with this header.

        A token that names a key gets the keys of that name, or else those that have no name (a PEM has none).
        A token that names none gets every key.
        """
        named = self.keys if kid is None else self._by_kid.get(kid) or self._by_kid.get(None, ())
        return tuple(key for key in named if algorithm in key.algorithms)

    def knows(self, kid: str | None) -> bool:
        """Whether a token that names ``kid`` could have been signed by a key of this set."""
        return kid is None or kid in self._by_kid or None in self._by_kid

    @classmethod
    def from_jwks(cls, document: bytes | str) -> KeySet:
        """Read a JWK Set (RFC 7517 §5), at most 256 KiB and 100 keys.

        Keys that can't verify signatures are left out and named in :attr:`skipped`: unknown ``kty``, symmetric or
        private ones, wrong ``use`` or ``key_ops``, RSA under 2048 bits, points that are not on their curve.

        Raises:
            KeySetError: it is not a JWK Set at all.
        """
        data = document.encode("utf-8", "surrogatepass") if isinstance(document, str) else document
        if len(data) > MAX_SET_BYTES:
            raise KeySetError(f"a JWK Set of more than {MAX_SET_BYTES} bytes")
        value = strict_object(data)
        if value is None:
            raise KeySetError("not a JSON object (or one with duplicate members)")
        entries = value.get("keys")
        if not isinstance(entries, list):
            raise KeySetError("no array 'keys'")
        if len(entries) > MAX_KEYS:
            raise KeySetError(f"more than {MAX_KEYS} keys")
        return cls._of(entries, version=hashlib.sha256(data).digest())

    @classmethod
    def from_pem(cls, document: bytes | str) -> KeySet:
        """Read public keys (``BEGIN PUBLIC KEY``), usually one; they have no ``kid``.

        Raises:
            KeySetError: there is none, too many, or one of a kind or size that is not supported; or there is something
                private in it.
        """
        data = document.encode("utf-8", "surrogatepass") if isinstance(document, str) else document
        blocks = [match[0] for match in _PEM.finditer(data[:MAX_SET_BYTES])]
        if b"PRIVATE KEY" in data:
            raise KeySetError("a private key; replace it, and give its public half")
        if not blocks or len(blocks) > MAX_KEYS:
            raise KeySetError("not the PEM of a public key" if not blocks else f"more than {MAX_KEYS} keys")
        return cls(keys=tuple(map(_read_pem, blocks)), version=hashlib.sha256(data).digest())

    @classmethod
    def _of(cls, entries: Iterable[object], *, version: bytes) -> KeySet:
        keys, skipped = [], []
        for position, entry in enumerate(entries):
            found = _read_key(entry)
            if isinstance(found, Key):
                keys.append(found)
            else:
                skipped.append(Skipped(position, found))
        return cls(keys=tuple(keys), skipped=tuple(skipped), version=version)


def _read_pem(block: bytes) -> Key:
    try:
        key = _usable_key(None, load_pem_public_key(block))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeySetError("not the PEM of a public key") from error
    if key is None:
        raise KeySetError("a kind or size of public key that is not supported")
    return key


def _read_key(entry: object) -> Key | str:
    """The key, or why it is skipped."""
    if not isinstance(entry, dict):
        return "not an object"
    if (why := _unusable(entry)) is not None:
        return why
    kid = entry.get("kid")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= MAX_KID_LENGTH):
        return "kid is not a string of at most 256 characters"
    key = _usable_key(kid, _read_public(entry))
    if key is None:
        return "no public key of a supported kind and size"
    if "alg" not in entry:
        return key
    pinned = entry["alg"]
    if not isinstance(pinned, str) or pinned not in key.algorithms:
        return "alg does not fit the key"
    return replace(key, algorithms=frozenset({pinned}))


def _unusable(entry: dict[str, Any]) -> str | None:
    """Why this JWK may not verify signatures, by what it says of itself (RFC 7517 §4.2, §4.3)."""
    if entry.get("use", "sig") != "sig":
        return "use is not sig"
    operations = entry.get("key_ops", ["verify"])
    if not isinstance(operations, list) or not all(isinstance(name, str) for name in operations):
        return "key_ops is not an array of strings"
    if "verify" not in operations or len(set(operations)) != len(operations):
        return "key_ops does not allow verify"
    if "d" in entry or "k" in entry:
        return "a private or symmetric key"
    return None


def _read_public(entry: dict[str, Any]) -> PublicKey | None:
    readers = {"RSA": _read_rsa, "EC": _read_ec, "OKP": _read_okp}
    reader = readers.get(entry["kty"]) if isinstance(entry.get("kty"), str) else None
    try:
        return reader(entry) if reader is not None else None
    except (ValueError, UnsupportedAlgorithm):
        return None  # off the curve, an even exponent, …: cryptography's own checks


def _read_rsa(entry: dict[str, Any]) -> PublicKey | None:
    modulus, exponent = _octets(entry.get("n")), _octets(entry.get("e"))
    if not modulus or not exponent or len(modulus) * 8 > MAX_RSA_BITS + 8:
        return None
    e = int.from_bytes(exponent)
    if not 3 <= e <= MAX_RSA_EXPONENT:
        return None
    return RSAPublicNumbers(e, int.from_bytes(modulus)).public_key()


def _read_ec(entry: dict[str, Any]) -> PublicKey | None:
    curve = _CURVES.get(entry["crv"]) if isinstance(entry.get("crv"), str) else None
    x, y = _octets(entry.get("x")), _octets(entry.get("y"))
    if curve is None or x is None or y is None or len(x) != curve[1] or len(y) != curve[1]:
        return None
    return EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), curve[0]()).public_key()


def _read_okp(entry: dict[str, Any]) -> PublicKey | None:
    curve = _EDWARDS.get(entry["crv"]) if isinstance(entry.get("crv"), str) else None
    x = _octets(entry.get("x"))
    if curve is None or x is None or len(x) != curve[1]:
        return None
    return curve[0](x)


def _octets(value: object) -> bytes | None:
    if not isinstance(value, str) or not value.isascii():
        return None
    return base64url(value.encode())


def _usable_key(kid: str | None, public: object) -> Key | None:
    """The key with every algorithm that its kind fits, or ``None`` when kind or size is not supported."""
    if isinstance(public, RSAPublicKey) and MIN_RSA_BITS <= public.key_size <= MAX_RSA_BITS:
        return Key(kid, RSA_ALGORITHMS, public)
    if isinstance(public, EllipticCurvePublicKey) and public.curve.name in _CURVE_NAMES:
        return Key(kid, frozenset({CURVE_ALGORITHMS[_CURVE_NAMES[public.curve.name]]}), public)
    if isinstance(public, (Ed25519PublicKey, Ed448PublicKey)):
        return Key(kid, frozenset({EDWARDS_ALGORITHM}), public)
    return None
