"""How much memory this process may use, as the kernel's control groups say."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_FILES: Final = ("memory.max", "memory/memory.limit_in_bytes")  # version 2, version 1
_UNBOUNDED: Final = 1 << 60
"""Version 1 says "no limit" by a number about as large as there are addresses."""


def memory_limit(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes; ``None`` where there is no limit, or no telling."""
    for name in _FILES:
        try:
            text = (root / name).read_text().strip()
        except OSError:
            continue
        return int(text) if text.isdecimal() and 0 < int(text) < _UNBOUNDED else None
    return None
