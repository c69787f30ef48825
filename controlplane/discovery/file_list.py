"""A list of endpoints in a file below the folder that the operator opened."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from controlplane.discovery.errors import DiscoveryError
from controlplane.discovery.reading import LastReading
from controlplane.discovery.targets import MAX_BYTES
from controlplane.model import Endpoint
from servicekit.opened_folder import OpenedFolder, OpenedFolderError

_SETTLE_SECONDS: Final = 0.1
"""A file that is being written has other content after this: half of a YAML list is a list, too."""


class FileList:
    """:class:`~controlplane.discovery.sources.Lists` of the file ``name`` in ``folder``.

    It is read each time and not watched: that works on every file system and through every link, and costs less than
    a tenth of a millisecond.
    """

    def __init__(self, folder: OpenedFolder, name: str) -> None:
        self._folder = folder
        self._name = name
        self._last = LastReading()

    async def read(self) -> Sequence[Endpoint] | None:
        """See :meth:`~controlplane.discovery.sources.Lists.read`."""
        content = await asyncio.to_thread(self._content)
        if not self._last.is_of(content):
            await asyncio.sleep(_SETTLE_SECONDS)
            if await asyncio.to_thread(self._content) != content:
                raise DiscoveryError("the file is being written")
        return await self._last.read(content)

    def _content(self) -> bytes:
        try:
            return self._folder.read(self._name, most=MAX_BYTES + 1)
        except OpenedFolderError as error:
            raise DiscoveryError(str(error)) from None
