"""What a request shows to say who is calling: a bearer token (RFC 6750 §2.1) or an API key, taken from its headers."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, Protocol

AUTHORIZATION: Final = "authorization"
BEARER: Final = "Bearer "
MAX_API_KEY_LENGTH: Final = 512

TOKEN: Final = r"[A-Za-z0-9\-._~+/]+=*"  # noqa: S105 -- a pattern
"""RFC 6750 §2.1: b64token. A comma cannot be part of it: that is how a proxy joins two headers of one name."""

_BEARER = re.compile(rf"bearer +({TOKEN})", re.IGNORECASE)
_BEARER_SCHEME = re.compile(r"bearer(?![A-Za-z0-9\-._~+/!#$%&'*^`|])", re.IGNORECASE)


class Headers(Protocol):
    """Request headers, names in lower case, several values of one name joined by commas."""

    def get(self, key: str, /) -> str | None:
        """The value of ``key``, or ``None``."""
        ...


class Malformed(Enum):
    """Where there is something that is not exactly one token."""

    AUTHORIZATION = "authorization"
    ELSEWHERE = "elsewhere"


def bearer_token(headers: Headers) -> str | Malformed | None:
    """The bearer token, or ``None`` when the request shows none."""
    value = headers.get(AUTHORIZATION)
    if value is None:
        return None
    match = _BEARER.fullmatch(value)
    if match is not None:
        return match[1]
    return Malformed.AUTHORIZATION if _names_bearer(value) else None


def _names_bearer(value: str) -> bool:
    return any(_BEARER_SCHEME.match(part.strip()) for part in value.split(","))


def api_key(headers: Headers, name: str) -> str | None:
    """The API key in the header ``name``, or ``None`` when the request shows none."""
    value = headers.get(name)
    return value or None
