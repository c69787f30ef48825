"""Signing keys that live as long as their process. For demonstration only."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway.demo.settings import Algorithm

_KEPT = 3
_PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key pair and the name under which it is published."""

    kid: str
    algorithm: Algorithm
    private: _PrivateKey

    @classmethod
    def generate(cls, algorithm: Algorithm) -> SigningKey:
        """A fresh key with a random ``kid``."""
        return cls(secrets.token_hex(8), algorithm, _generate(algorithm))

    def public_jwk(self) -> dict[str, Any]:
        """The public half as a JWK (RFC 7517)."""
        public = self.private.public_key()
        if isinstance(public, ec.EllipticCurvePublicKey):
            jwk = ECAlgorithm.to_jwk(public, as_dict=True)
        elif isinstance(public, rsa.RSAPublicKey):
            jwk = RSAAlgorithm.to_jwk(public, as_dict=True)
        else:
            jwk = OKPAlgorithm.to_jwk(public, as_dict=True)
        return {
            **{name: value for name, value in jwk.items() if name != "key_ops"},
            "kid": self.kid,
            "use": "sig",
            "alg": self.algorithm,
        }


class KeyRing:
    """The key that signs now, and the ones before it, whose tokens are still about."""

    def __init__(self, algorithm: Algorithm) -> None:
        self._algorithm = algorithm
        self._keys = deque([SigningKey.generate(algorithm)], maxlen=_KEPT)

    def rotate(self) -> str:
        """Sign with a new key from now on; returns its ``kid``."""
        self._keys.append(SigningKey.generate(self._algorithm))
        return self._keys[-1].kid

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public keys (RFC 7517 §5), newest first."""
        return {"keys": [key.public_jwk() for key in reversed(self._keys)]}

    def sign(self, claims: Mapping[str, Any], *, lifetime: float) -> str:
        """A JWT with ``claims``, issued now. A negative ``lifetime`` (seconds) gives one that has expired."""
        key = self._keys[-1]
        now = int(time.time())
        payload = {"iat": min(now, int(now + lifetime)), "exp": int(now + lifetime), **claims}
        return jwt.encode(payload, key.private, algorithm=key.algorithm, headers={"kid": key.kid})


def _generate(algorithm: Algorithm) -> _PrivateKey:
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())
