"""The port: how the endpoints of a list are had, whoever keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from controlplane.model import Endpoint, TargetList


class Lists(Protocol):
    """One list of endpoints. It is asked again :attr:`~controlplane.model.TargetList.interval` after each answer; one
    that is told of changes, as Kubernetes tells them, waits here for the next."""

    async def read(self) -> Sequence[Endpoint] | None:
        """The endpoints, in an order of their own; ``None`` when they are what they were at the last answer.

        Raises:
            DiscoveryError: they can't be had, or the list is none.
        """


class OpenLists(Protocol):
    """How lists are opened."""

    def __call__(self, where: TargetList, /) -> Lists:
        """The list; nothing is read yet."""
