"""Keys and tokens of a test's own issuer, also those that no honest issuer would make."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey

_CURVES: dict[str, type[Any]] = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64url_encode(data).decode()


@dataclass(frozen=True)
class SigningKey:
    """A private key, what it is called, and the algorithm it signs with."""

    algorithm: str
    kid: str | None
    private: PrivateKey

    def jwk(self, **changes: object) -> dict[str, Any]:
        """The public half as a JWK; a change to ``None`` leaves the member out."""
        public: Any = self.private.public_key()
        writer: Any = RSAAlgorithm
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            writer = ECAlgorithm
        elif not isinstance(self.private, rsa.RSAPrivateKey):
            writer = OKPAlgorithm
        entry = writer.to_jwk(public, as_dict=True)
        entry.pop("key_ops", None)
        entry |= {"kid": self.kid, "alg": self.algorithm, "use": "sig"} | changes
        return {name: value for name, value in entry.items() if value is not None}

    def pem(self) -> bytes:
        """The public half as PEM."""
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def signature(self, signed: bytes) -> bytes:
        """The JWS signature of ``signed``."""
        signer: Any = jwt.get_algorithm_by_name(self.algorithm)
        signature: bytes = signer.sign(signed, self.private)
        return signature

    def token(self, claims: Mapping[str, Any] | bytes, **header: object) -> str:
        """A token with these claims (or these octets as payload); ``header`` changes or, with ``None``, removes."""
        members = {"alg": self.algorithm, "typ": "JWT", "kid": self.kid} | header
        head = json.dumps({name: value for name, value in members.items() if value is not None}).encode()
        return self.raw_token(head, claims if isinstance(claims, bytes) else json.dumps(claims).encode())

    def raw_token(self, header: bytes, payload: bytes) -> str:
        """A correctly signed token with any octets as its header and payload."""
        signed = f"{b64(header)}.{b64(payload)}"
        return f"{signed}.{b64(self.signature(signed.encode()))}"


@lru_cache
def signing_key(algorithm: str, kid: str | None = "k1", bits: int = 2048) -> SigningKey:
    """The key called ``kid``: the same one for every test of a process, since RSA keys take long to make."""
    private: PrivateKey
    if algorithm in _CURVES:
        private = ec.generate_private_key(_CURVES[algorithm]())
    elif algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
    elif algorithm == "Ed448":
        return SigningKey("EdDSA", kid, ed448.Ed448PrivateKey.generate())
    else:
        private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return SigningKey(algorithm, kid, private)


def jwks(*entries: Mapping[str, Any]) -> bytes:
    """A JWK Set."""
    return json.dumps({"keys": list(entries)}).encode()
