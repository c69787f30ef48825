"""The two encodings that JOSE stands on, read strictly: base64url (RFC 7515 §2) and JSON (RFC 8259)."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from typing import Any

MAX_DEPTH = 16
"""Arrays and objects inside each other; the deepest claims that real issuers write have four or five."""

_ALPHABET = re.compile(rb"[A-Za-z0-9_-]*")
# The unused low bits of a last character must be zero, or one octet string would have several spellings.
_LAST = {2: frozenset(b"AQgw"), 3: frozenset(b"AEIMQUYcgkosw048")}
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NOT_BRACKET = re.compile(rb"[^\[\]{}]+")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def base64url(text: bytes) -> bytes | None:
    """The octets that ``text`` spells, or ``None`` when it is not canonical base64url without padding."""
    rest = len(text) % 4
    if rest == 1 or _ALPHABET.fullmatch(text) is None:
        return None
    if rest and text[-1] not in _LAST[rest]:
        return None
    return urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def strict_object(data: bytes, *, max_depth: int = MAX_DEPTH) -> dict[str, Any] | None:
    """The JSON object in ``data``, or ``None`` when it is anything else.

    Refused on top of what is not JSON: a value that is not an object, duplicate members at any level
    (RFC 7515 §4, RFC 8725 §2.6), nesting beyond ``max_depth``, a number that overflows (``1e400``), ``NaN``,
    text that is not UTF-8 and a byte order mark (RFC 8259 §8.1), and lone surrogates, which no header can carry.
    """
    if _too_deep(data, max_depth):
        return None
    try:
        value = json.loads(data.decode(), object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)
        if _SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if type(value) is dict else None


def _too_deep(data: bytes, limit: int) -> bool:
    if data.count(b"[") + data.count(b"{") <= limit:
        return False
    depth = 0
    for bracket in _NOT_BRACKET.sub(b"", _STRING.sub(b"", data)):
        depth += 1 if bracket in b"[{" else -1
        if depth > limit:
            return True
    return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("number out of range")
    return value


def _no_constant(text: str) -> float:
    raise ValueError(text)
