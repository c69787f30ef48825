"""Writes ``cache-status`` (RFC 9211)."""

from __future__ import annotations

from typing import Final

CACHE: Final = "gateway"
"""How this cache calls itself."""


def hit(left: float, *, collapsed: bool) -> str:
    """The answer was kept and is fresh for ``left`` seconds; ``collapsed`` if it came while this request waited."""
    return f"{CACHE}; hit; ttl={int(left)}" + ("; collapsed" if collapsed else "")


def stood_in(left: float, status: int, *, collapsed: bool) -> str:
    """The upstream failed with ``status``, and a kept answer stands in that has been stale for ``-left`` seconds."""
    collapse = "; collapsed" if collapsed else ""
    return f"{CACHE}; fwd=stale; fwd-status={status}; ttl={int(left)}{collapse}; detail=stale-if-error"


def forwarded(why: str, *, stored: bool = False, detail: str = "") -> str:
    """The upstream has answered; ``why`` is one of the words of §2.2."""
    return f"{CACHE}; fwd={why}" + ("; stored" if stored else "") + (f"; detail={detail}" if detail else "")
