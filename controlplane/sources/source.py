"""The port: what every source of documents offers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from controlplane.config import ConfigError, GatewayConfig


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a source has read."""

    origin: str
    """Where it was read: a file name, or ``environment``."""
    content: GatewayConfig | ConfigError
    """The document, or why it is none."""
    text: bytes = b""
    """As it was written; empty when it was not a text."""


class Source(Protocol):
    """A place that documents come from."""

    def documents(self) -> AsyncIterator[Loaded]:
        """The document as it is now, and again after each change, for ever.

        The same text is not given twice in a row. Only the newest matters: changes that follow each other closely may
        be given as one. Nothing is raised: what cannot be read is given as a :class:`ConfigError`.
        """
