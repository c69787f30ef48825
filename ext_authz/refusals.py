"""Why a token is refused: a word for machines that is safe as a metric label, and a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Every reason there is; a closed set, so that no client can invent label values."""

    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    ENCRYPTED = "encrypted"
    ALGORITHM = "algorithm"
    CRITICAL = "critical"
    TYPE = "type"
    CLAIMS = "claims"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    LIFETIME = "lifetime"
    UNKNOWN_KEY = "unknown_key"
    AMBIGUOUS_KEY = "ambiguous_key"
    SIGNATURE = "signature"
    REVOKED = "revoked"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class Refused:
    """A token that proves nothing. The description never quotes the token."""

    reason: Reason
    description: str
