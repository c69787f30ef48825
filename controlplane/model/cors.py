"""CORS: which other origins' pages may use a route from a browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginMatch:
    """Which origins."""

    kind: Literal["exact", "regex"]
    value: str
    """``*`` as an exact one is every origin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """What browsers are told."""

    origins: tuple[OriginMatch, ...]
    methods: tuple[str, ...]
    """Never empty."""
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: float = 600.0
    """Seconds."""
