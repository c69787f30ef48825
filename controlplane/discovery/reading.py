"""The last text of a list: the same text is not read twice, good or bad."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from controlplane.discovery.errors import DiscoveryError
from controlplane.discovery.targets import parse_targets
from controlplane.model import Endpoint


class LastReading:
    """What a list said last."""

    def __init__(self) -> None:
        self._text: bytes | None = None
        self._error = ""

    def is_of(self, text: bytes) -> bool:
        """Whether this is the text that was read last."""
        return text == self._text

    async def read(self, text: bytes) -> Sequence[Endpoint] | None:
        """The endpoints that ``text`` lists; ``None`` when it was read last.

        Raises:
            DiscoveryError: it is no list.
        """
        if self.is_of(text):
            self.again()
            return None
        self._text = text
        try:
            endpoints = await asyncio.to_thread(parse_targets, text)
        except DiscoveryError as error:
            self._error = str(error)
            raise
        self._error = ""
        return endpoints

    def again(self) -> None:
        """The text is what it was.

        Raises:
            DiscoveryError: it was no list.
        """
        if self._error:
            raise DiscoveryError(self._error)
