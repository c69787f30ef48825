"""A JSON Web Token in compact form: read strictly, then verified with given keys (RFC 7515, 7519, 8725). Pure."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

from ext_authz.algorithms import ASYMMETRIC, SUPPORTED, VERIFIERS
from ext_authz.claims import check_claims
from ext_authz.jose import MAX_DEPTH, base64url, strict_object
from ext_authz.keys import MAX_KID_LENGTH, KeySet
from ext_authz.refusals import Reason, Refused

MAX_CANDIDATES: Final = 8
"""Keys tried for a token that names none, so that a large key set is no amplifier."""

DEFAULT_TYPES: Final = frozenset({"", "jwt", "at+jwt"})
"""``typ`` values of access tokens (RFC 9068 §2.1); the empty one stands for a token without ``typ``. Tokens made
for something else say so in ``typ`` (``logout+jwt``, ``dpop+jwt``) and are refused (RFC 8725 §3.11)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLimits:
    """What a token may cost before anything else is known of it. Sizes are bytes as sent."""

    token_bytes: int = 16 * 1024
    header_bytes: int = 4 * 1024
    depth: int = MAX_DEPTH
    """Arrays and objects inside each other, in header and claims."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtPolicy:
    """What is asked of the tokens of one issuer. Times are seconds.

    Raises:
        ValueError: :attr:`algorithms` is empty, names one that is not supported (``none`` is not), or has HMAC
            beside others.
    """

    algorithms: Set[str]
    """The only ``alg`` values accepted (RFC 8725 §3.1)."""
    issuer: str | None
    """The exact ``iss``, or ``None`` for any."""
    audiences: Set[str] | None
    """``aud`` has to name one of these; ``None`` for any."""
    leeway: float = 0.0
    """Clock difference forgiven for ``exp``, ``nbf`` and ``iat``."""
    required_claims: tuple[str, ...] = ("exp",)
    """Claims that must be there and not be empty."""
    types: Set[str] = DEFAULT_TYPES
    """Accepted ``typ`` in lower case without ``application/``; the empty string stands for none."""
    max_lifetime: float | None = None
    """Longest ``exp - iat``."""
    limits: TokenLimits = TokenLimits()

    def __post_init__(self) -> None:
        # Frozen here, so that what a caller does with its sets later changes nothing.
        object.__setattr__(self, "algorithms", frozenset(self.algorithms))
        object.__setattr__(self, "types", frozenset(self.types))
        if self.audiences is not None:
            object.__setattr__(self, "audiences", frozenset(self.audiences))
        if not self.algorithms or not self.algorithms <= SUPPORTED:
            unknown = ", ".join(sorted(self.algorithms - SUPPORTED)) or "none at all"
            raise ValueError(f"algorithms: {unknown}; choose from {', '.join(sorted(SUPPORTED))}")
        if not (self.algorithms <= ASYMMETRIC or self.algorithms.isdisjoint(ASYMMETRIC)):
            raise ValueError("algorithms: HMAC stands alone: who may verify with a secret may sign with it")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A token that is well-formed and proves nothing yet."""

    algorithm: str
    kid: str | None
    typ: str
    claims: Mapping[str, Any]
    signed: bytes
    """The JWS signing input (RFC 7515 §5.1)."""
    signature: bytes


@dataclass(frozen=True, slots=True)
class Verified:
    """A token signed by a key of the issuer, with every claim as the policy asks."""

    claims: Mapping[str, Any]
    kid: str | None
    expires_at: float
    """When the token ends (``exp`` plus leeway), seconds since the epoch; infinite without ``exp``."""


def verify(token: str | bytes, key_set: KeySet, policy: JwtPolicy, *, now: float | None = None) -> Verified | Refused:
    """Whether ``token`` is a JWT that ``policy`` accepts, signed by a key of ``key_set``.

    A pure function of its arguments; without ``now`` (seconds since the epoch) the system clock gives the time.
    It raises nothing for any ``token``, makes no call anywhere, and uses no key but those of ``key_set``: ``jwk``,
    ``jku``, ``x5u`` and ``x5c`` in the header have no effect.
    """
    parsed = parse(token, policy.limits)
    if isinstance(parsed, Refused):
        return parsed
    # Header and claims come before the signature: they cost a hundredth of it, and RFC 7519 §7.2 leaves the order free.
    refused = check_content(parsed, policy, now=time.time() if now is None else now)
    return refused or check_signature(parsed, key_set, policy)


def parse(token: str | bytes, limits: TokenLimits) -> Parsed | Refused:
    """Take a token apart. No policy, key, clock or cryptography is involved."""
    data = _octets(token)
    if data is None:
        return Refused(Reason.MALFORMED, "the token is not ASCII text")
    if len(data) > limits.token_bytes:
        return Refused(Reason.TOO_LARGE, "the token is too large")
    parts = data.split(b".", 5)
    if len(parts) == 5:
        return Refused(Reason.ENCRYPTED, "encrypted tokens are not accepted")
    if len(parts) != 3:
        return Refused(Reason.MALFORMED, "the token is not a JWT in compact form")
    if len(parts[0]) > limits.header_bytes:
        return Refused(Reason.TOO_LARGE, "the header of the token is too large")
    return _parse_parts(parts, limits)


def check_content(parsed: Parsed, policy: JwtPolicy, *, now: float) -> Refused | None:
    """Why ``policy`` refuses what the token says, or ``None``. Who says it is :func:`check_signature`'s question."""
    if parsed.algorithm not in policy.algorithms:
        return Refused(Reason.ALGORITHM, "the token is signed with an algorithm that is not accepted")
    if parsed.typ not in policy.types:
        return Refused(Reason.TYPE, "the token is of a type that is not accepted")
    return check_claims(parsed.claims, policy, now)


def check_signature(parsed: Parsed, key_set: KeySet, policy: JwtPolicy) -> Verified | Refused:
    """Whether a key of ``key_set`` signed the token. Its content must have passed :func:`check_content`."""
    if not key_set.knows(parsed.kid):
        return Refused(Reason.UNKNOWN_KEY, "the token names a key that its issuer does not publish")
    candidates = key_set.candidates(parsed.kid, parsed.algorithm)
    if not candidates:
        return Refused(Reason.ALGORITHM, "the algorithm of the token does not fit the key")
    if len(candidates) > MAX_CANDIDATES:
        return Refused(Reason.AMBIGUOUS_KEY, "the token does not say which of many keys signed it")
    verifier = VERIFIERS[parsed.algorithm]
    for key in candidates:
        if verifier.verify(parsed.signed, key.material, parsed.signature):
            return Verified(parsed.claims, parsed.kid, parsed.claims.get("exp", math.inf) + policy.leeway)
    return Refused(Reason.SIGNATURE, "the signature of the token is wrong")


def _octets(token: object) -> bytes | None:
    if isinstance(token, bytes):
        return token
    if isinstance(token, str) and token.isascii():
        return token.encode()
    return None


def _parse_parts(parts: list[bytes], limits: TokenLimits) -> Parsed | Refused:
    header_text, payload_text, signature = (base64url(part) for part in parts)
    if header_text is None or payload_text is None or not signature:
        return Refused(Reason.MALFORMED, "a part of the token is not base64url")
    header = strict_object(header_text, max_depth=limits.depth)
    if header is None:
        return Refused(Reason.MALFORMED, "the header of the token is not a plain JSON object")
    refused = _refuse_header(header)
    if refused is not None:
        return refused
    claims = strict_object(payload_text, max_depth=limits.depth)
    if claims is None:
        return Refused(Reason.MALFORMED, "the claims of the token are not a plain JSON object")
    typ = header.get("typ", "").lower().removeprefix("application/")
    return Parsed(header["alg"], header.get("kid"), typ, claims, parts[0] + b"." + parts[1], signature)


def _refuse_header(header: dict[str, Any]) -> Refused | None:
    """What no policy can allow (RFC 7515 §4.1)."""
    if type(header.get("alg")) is not str or type(header.get("typ", "")) is not str:
        return Refused(Reason.MALFORMED, "alg or typ of the token is not a string")
    kid = header.get("kid", "")
    if type(kid) is not str or len(kid) > MAX_KID_LENGTH:
        return Refused(Reason.MALFORMED, f"kid of the token is not a string of at most {MAX_KID_LENGTH} characters")
    # No extension is understood, so anything critical is refused (§4.1.11), an empty list too;
    # b64 must not be used with JWTs at all (RFC 7797 §7).
    if "crit" in header or "b64" in header:
        return Refused(Reason.CRITICAL, "the token asks for an extension that is not supported")
    cty = header.get("cty", "")
    if "enc" in header or type(cty) is not str or cty.lower().removeprefix("application/") == "jwt":
        return Refused(Reason.ENCRYPTED, "encrypted or nested tokens are not accepted")
    return None
