"""The SHA-256 thumbprint of a public key (RFC 7638, RFC 8037 §2), and what its kind is called."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

SECRET_KIND: Final = "oct"  # noqa: S105 -- the kty of a symmetric key, RFC 7518 §6.4

_CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


def describe_key(key: object) -> tuple[str, str | None]:
    """``kty`` and thumbprint. What is no public key is a secret: a hash of that would help who guesses it."""
    members = _members(key)
    if members is None:
        return SECRET_KIND, None
    digest = hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest()
    return members["kty"], _base64url(digest)


def _members(key: object) -> dict[str, str] | None:
    """The members that RFC 7638 §3.2 hashes."""
    if isinstance(key, RSAPublicKey):
        rsa = key.public_numbers()
        return {"kty": "RSA", "n": _base64url_integer(rsa.n), "e": _base64url_integer(rsa.e)}
    if isinstance(key, EllipticCurvePublicKey):
        point, size = key.public_numbers(), (key.key_size + 7) // 8
        x, y = (_base64url(number.to_bytes(size)) for number in (point.x, point.y))
        return {"kty": "EC", "crv": _CURVES[key.curve.name], "x": x, "y": y}
    if isinstance(key, Ed25519PublicKey | Ed448PublicKey):
        curve = "Ed25519" if isinstance(key, Ed25519PublicKey) else "Ed448"
        return {"kty": "OKP", "crv": curve, "x": _base64url(key.public_bytes_raw())}
    return None


def _base64url_integer(number: int) -> str:
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8))


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
