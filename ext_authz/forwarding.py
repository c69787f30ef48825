"""What the backend gets to know: claims as request header values that nothing can break out of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

MAX_VALUE_LENGTH: Final = 8 * 1024
"""Characters of one header value."""

_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "%,")
_TEXT_SAFE: Final = _PLAIN + ", "
_ELEMENT_SAFE: Final = _PLAIN + " "


@dataclass(frozen=True, slots=True)
class ForwardedClaim:
    """One claim and the header that carries it."""

    claim: str
    header: str

    def value_in(self, claims: Mapping[str, Any]) -> object:
        """The claim of exactly this name, or else what the dotted path leads to; ``None`` when there is nothing."""
        if self.claim in claims:
            return claims[self.claim]
        found: Any = claims
        for step in self.claim.split("."):
            if not isinstance(found, Mapping) or step not in found:
                return None
            found = found[step]
        return found


def forwarded_headers(claims: Mapping[str, Any], wanted: tuple[ForwardedClaim, ...]) -> dict[str, str] | None:
    """Header name to value for every wanted claim that is there; ``None`` when one is too long for a header."""
    headers = {}
    for forwarded in wanted:
        value = forwarded.value_in(claims)
        if value is None:
            continue
        text = header_value(value)
        if len(text) > MAX_VALUE_LENGTH:
            return None
        headers[forwarded.header] = text
    return headers


def header_value(value: object) -> str:
    """A claim as visible ASCII.

    Strings are percent-encoded (UTF-8, RFC 3986 §2.1) where they hold control characters, ``%``, anything beyond
    ASCII, or a space at either end; all else stays as it is, so that decoding always gives the claim back. Numbers
    and booleans are as in JSON. The elements of an array are joined by commas, a comma inside of one is encoded.
    Objects are JSON in ASCII.
    """
    if isinstance(value, list):
        return ",".join(_encode(_text(element), _ELEMENT_SAFE) for element in value)
    text = _text(value)
    return text if isinstance(value, dict) else _encode(text, _TEXT_SAFE)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _encode(text: str, safe: str) -> str:
    encoded = quote(text, safe=safe)
    body = encoded.strip(" ")
    if len(body) == len(encoded):
        return encoded
    start = len(encoded) - len(encoded.lstrip(" "))
    return "%20" * start + body + "%20" * (len(encoded) - start - len(body))
