"""Public keys that stand in the document itself. What is left to see in them, ext_authz sees."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from controlplane.config.base import Section, mistake
from controlplane.config.texts import distinct

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
Number = Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^[A-Za-z0-9_-]+$")]

_CURVES: Final = {"RSA": (None,), "EC": ("P-256", "P-384", "P-521"), "OKP": ("Ed25519", "Ed448")}
_NUMBERS: Final = {"RSA": ("n", "e"), "EC": ("x", "y"), "OKP": ("x",)}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 §6.2.2, §6.3.2, §6.4
_PEM: Final = re.compile(r"\s*(?:-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----\s*){1,100}")
_SHORTEST_MODULUS: Final = 342
"""Characters of 2048 bits in base64url (RFC 7518 §3.3)."""


class Jwk(Section):
    """A public key (RFC 7517 §4) that signatures are verified with. Certificates (`x5c` and its like) are left out."""

    kty: Literal["RSA", "EC", "OKP"]
    """Its kind."""
    crv: Literal["P-256", "P-384", "P-521", "Ed25519", "Ed448"] | None = None
    """The curve of an EC or OKP key."""
    n: Number | None = None
    """RSA: the modulus, of at least 2048 bits."""
    e: Number | None = None
    """RSA: the exponent."""
    x: Number | None = None
    """EC, OKP: the point."""
    y: Number | None = None
    """EC: the other half of the point."""
    kid: str | None = Field(default=None, min_length=1, max_length=256)
    """What tokens call it."""
    alg: Algorithm | None = None
    """The only algorithm that it is used with; without it, any that fits its kind."""
    use: Literal["sig"] | None = None
    """Made for signatures."""
    key_ops: list[Literal["verify"]] | None = Field(default=None, min_length=1, max_length=1)
    """Made for verifying them."""

    @model_validator(mode="before")
    @classmethod
    def _is_public(cls, value: Any) -> Any:
        if isinstance(value, dict) and _PRIVATE & value.keys():
            hint = "take out what is secret and replace the key: who can read the document has it"
            raise mistake("private-key", "this is no public key", hint)
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        why = self._lacks()
        if why is not None:
            raise mistake("public-key", why)
        return self

    def _lacks(self) -> str | None:
        if self.crv not in _CURVES[self.kty]:
            words = ", ".join(curve for curve in _CURVES[self.kty] if curve)
            return f"crv of an {self.kty} key is one of {words}" if words else "an RSA key has no curve"
        missing = [name for name in _NUMBERS[self.kty] if getattr(self, name) is None]
        if missing:
            return f"the key {missing[0]!r} is missing"
        short = self.n is not None and len(self.n) < _SHORTEST_MODULUS
        return "an RSA key has at least 2048 bits" if short else None


def check_pem(text: str) -> str:
    """The text, if it is made of public keys as far as their frames show.

    Raises:
        PydanticCustomError: it is not; what stands in it is not repeated.
    """
    if "PRIVATE KEY" in text:
        hint = "give its public half and replace the key: who can read the document has it"
        raise mistake("private-key", "this is a private key", hint)
    if not _PEM.fullmatch(text):
        hint = "each from -----BEGIN PUBLIC KEY----- to -----END PUBLIC KEY-----; after a | in lines of their own"
        raise mistake("pem", "this is not the PEM of public keys", hint)
    return text


def _check_twice(keys: list[Jwk]) -> list[Jwk]:
    return distinct(keys, key=lambda key: key.model_dump_json(), name=lambda _: "a key")


class Jwks(Section):
    """A JWK Set (RFC 7517 §5), written out."""

    keys: Annotated[list[Jwk], AfterValidator(_check_twice)] = Field(min_length=1, max_length=100)
    """Public keys. A symmetric or private one is refused."""
