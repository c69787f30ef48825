"""``Set-Cookie`` as a server writes it (RFC 6265 §4.1), of values that fit as they are. Pure."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 4096
"""Characters of name and value together: what every browser keeps (RFC 6265 §6.1)."""

_NAME: Final = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z|~]+")
_VALUE: Final = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")
"""cookie-octet. Nothing is quoted or encoded: what is set comes back as it is."""


def fits(name: str, value: str) -> bool:
    """Whether a browser would keep this, and send it back as it is."""
    return bool(_NAME.fullmatch(name) and _VALUE.fullmatch(value)) and len(name) + len(value) <= LONGEST


def set_cookie(name: str, value: str, *, max_age: int | None, path: str, same_site: str, secure: bool) -> str:
    """The header's value; scripts never see the cookie (``HttpOnly``).

    ``max_age`` is seconds: ``None`` lasts until the browser is closed, 0 takes the cookie away.

    Raises:
        ValueError: it does not fit. The text says nothing of the value.
    """
    if not fits(name, value):
        raise ValueError(f"the cookie {name!r} can't hold this")
    lasts = "" if max_age is None else f"; Max-Age={max_age}"
    return f"{name}={value}; Path={path}{lasts}; HttpOnly{'; Secure' * secure}; SameSite={same_site}"
