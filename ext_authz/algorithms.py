"""The signature algorithms there are (RFC 7518 §3.1, RFC 8037 §3.1), and which kind of key each belongs to.

No ``none``. HMAC belongs to :class:`~ext_authz.shared_secret.SharedSecret` alone, which no JWK Set and no PEM
brings: a public key that is taken for an HMAC secret is how RFC 8725 §2.1 begins.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final, Protocol

from jwt.algorithms import get_default_algorithms

RSA_ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
CURVE_ALGORITHMS: Final = MappingProxyType({"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"})
EDWARDS_ALGORITHM: Final = "EdDSA"
HMAC_OCTETS: Final = MappingProxyType({"HS256": 32, "HS384": 48, "HS512": 64})
"""Every HMAC algorithm, and how long its secret is at least (RFC 7518 §3.2)."""

ASYMMETRIC: Final = RSA_ALGORITHMS | frozenset(CURVE_ALGORITHMS.values()) | {EDWARDS_ALGORITHM}
SUPPORTED: Final = ASYMMETRIC | HMAC_OCTETS.keys()
"""Every ``alg`` that a policy may allow; those of HMAC only by themselves."""


class SignatureAlgorithm(Protocol):
    """What is needed of PyJWT's algorithm objects."""

    def verify(self, msg: bytes, key: Any, sig: bytes) -> bool:
        """Whether ``sig`` is the signature of ``msg`` by the private half of ``key``, or by the secret ``key``."""
        ...


VERIFIERS: Final[MappingProxyType[str, SignatureAlgorithm]] = MappingProxyType(
    {name: algorithm for name, algorithm in get_default_algorithms().items() if name in SUPPORTED}
)
"""``alg`` to the code that checks it."""
