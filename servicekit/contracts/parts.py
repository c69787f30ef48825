"""How a set that is too large to be sent whole for every change is cut into parts."""

from __future__ import annotations

import zlib
from typing import Final

PARTS: Final = 256
"""One change sends one of so many parts."""


def part_of(one: str) -> str:
    """The name of the part that has the member of this id."""
    return f"{zlib.crc32(one.encode()) % PARTS:02x}"
