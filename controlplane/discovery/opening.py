"""Opens the lists that documents name: files below the folder of lists, and URLs."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

from controlplane.discovery.file_list import FileList
from controlplane.discovery.http_list import HttpList
from controlplane.discovery.sources import Lists
from controlplane.model import TargetList
from servicekit.address import Address
from servicekit.opened_folder import OpenedFolder
from servicekit.outside_http import OutsideClients

AT_ONCE: Final = 64
"""Fetches that may be under way."""


class ListOpener:
    """:class:`~controlplane.discovery.sources.OpenLists`, with the connections that its lists share."""

    def __init__(self, folder: OpenedFolder) -> None:
        self._folder = folder
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._clients = OutsideClients()

    def __call__(self, where: TargetList) -> Lists:
        """The list; nothing is read yet."""
        if where.kind == "file":
            return FileList(self._folder, where.place)
        client = self._clients.client(direct=_stays_here(where.place))
        return HttpList(client, where.place, timeout=where.timeout, at_once=self._at_once)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._clients.aclose()


def _stays_here(url: str) -> bool:
    return Address(host=urlsplit(url).hostname or "", port=1).stays_on_machine
