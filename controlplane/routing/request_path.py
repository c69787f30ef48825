"""The path that Envoy matches: without dot segments and doubled slashes (RFC 3986 §5.2.4, §6.2.2)."""

from __future__ import annotations

import re
from typing import Final

_ESCAPED_SLASH: Final = re.compile(r"%(?:2f|5c)", re.IGNORECASE)
_ESCAPED_DOT: Final = re.compile(r"%2e", re.IGNORECASE)
_ESCAPED_PLAIN: Final = re.compile(r"%(?:2d|3[0-9]|4[1-9a-f]|5[0-9a]|5f|6[1-9a-f]|7[0-9a]|7e)", re.IGNORECASE)
"""Escapes of what needs none (RFC 3986 §2.3)."""
_SLASHES: Final = re.compile(r"/{2,}")
_UNSAFE: Final = re.compile(r"[^!$%&'()*+,\-./0-9:;=@A-Z\[\]_a-z~\\]")


def normalized(target: str) -> str | None:
    """``target`` (a path, with or without a query) as Envoy matches it and sends it on.

    ``None`` for one that it answers with 400: an escaped slash or backslash, a fragment, or no path at all.
    """
    path, mark, query = target.partition("?")
    if not path.startswith("/") or "#" in target or _ESCAPED_SLASH.search(path):
        return None
    safe = _UNSAFE.sub(lambda found: "".join(f"%{octet:02X}" for octet in found[0].encode()), path)
    plain = _ESCAPED_PLAIN.sub(lambda found: chr(int(found[0][1:], 16)), safe)
    return _SLASHES.sub("/", _without_dots(plain.replace("\\", "/"))) + mark + query


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")[1:]
    for position, segment in enumerate(segments):
        dots = _ESCAPED_DOT.sub(".", segment)
        is_last = position == len(segments) - 1
        if dots == "..":
            del kept[-1:]
        elif dots != ".":
            kept.append(segment)
            continue
        if is_last:
            kept.append("")
    return "/" + "/".join(kept)
