"""How often: token buckets by caller and by address, in bounded memory."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache

_CALLERS = 10_000
"""Whose buckets are remembered; who is forgotten begins with a full one."""
_IPV6_SITE = 64


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and so many a second after that."""

    burst: float
    per_second: float


class Buckets:
    """A token bucket for each key."""

    def __init__(self, rate: Rate, *, clock: Callable[[], float], size: int = _CALLERS) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(size)

    def take(self, key: str) -> int:
        """Take one token; 0 when there was one, else the whole seconds until there is."""
        left = self._left(key)
        if left < 1:
            return self._seconds(left)
        self._buckets[key] = (left - 1, self._clock())
        return 0

    def wait(self, key: str) -> int:
        """As :meth:`take`, without taking one."""
        left = self._left(key)
        return self._seconds(left) if left < 1 else 0

    def _left(self, key: str) -> float:
        left, at = self._buckets.get(key, (self._rate.burst, self._clock()))
        return min(self._rate.burst, left + (self._clock() - at) * self._rate.per_second)

    def _seconds(self, left: float) -> int:
        return max(1, math.ceil((1 - left) / self._rate.per_second))


def address_key(address: str) -> str:
    """What requests of one address are counted under: of IPv6, the network that one site has (/64)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(parsed), _IPV6_SITE), strict=False))
    return address
