"""What goes to the Redis script and what comes back, as bytes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from importlib import resources

from servicekit.buckets.takes import Level, Take

TEXT = resources.files("servicekit.buckets").joinpath("take.lua").read_text()
"""The Lua script; its head says what it takes and returns."""

MAX_TAKES = 256
"""Buckets in one call: bounds how long the script keeps Redis to itself."""


def pack(requests: Sequence[Sequence[Take]]) -> list[bytes | int]:
    """The arguments after the script: number of keys, the keys, their shapes, the requests."""
    indexes: dict[bytes, int] = {}
    shapes: list[int] = []
    asked: list[int] = []
    for takes in requests:
        asked.append(len(takes))
        for key, shape, hits in takes:
            index = indexes.get(key)
            if index is None:
                index = indexes[key] = len(indexes) + 1
                shapes += shape
            asked += (index, hits)
    return [len(indexes), *indexes, struct.pack(f"<{len(shapes)}d", *shapes), struct.pack(f"<{len(asked)}d", *asked)]


def unpack(requests: Sequence[Sequence[Take]], reply: bytes) -> list[list[Level]]:
    """The levels of each request, in order.

    Raises:
        struct.error: the reply does not answer these requests.
    """
    numbers = struct.unpack(f"<{1 + 3 * sum(map(len, requests))}d", reply)
    levels = [Level(numbers[i] == 1, int(numbers[i + 1]), int(numbers[i + 2])) for i in range(1, len(numbers), 3)]
    found, start = [], 0
    for takes in requests:
        found.append(levels[start : start + len(takes)])
        start += len(takes)
    return found
