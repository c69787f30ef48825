"""Everything that is stored, behind one door."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from controlplane.store.api_keys import ApiKeyStore
from controlplane.store.audit import AuditLog
from controlplane.store.limit_overrides import LimitOverrideStore
from controlplane.store.nodes import NodeStore
from controlplane.store.revision import RevisionStore
from controlplane.store.tokens import TokenStore


class Transfer(Protocol):
    """Everything out, and everything in again."""

    def export(self) -> AsyncIterator[str]:
        """Lines of JSON, each with its line feed; without the last (``"kind": "end"``) it is not whole.

        Raises:
            StoreError: amid the lines.
        """
        ...

    async def import_lines(self, lines: AsyncIterable[bytes | str]) -> Mapping[str, int]:
        """Take in what :meth:`export` gave, whole or not at all, and say how many there are of each kind.

        Empty is a store without tokens, API keys and overrides, with at most the one revision that a control plane
        records when it first starts (it gives way), and with nothing in its audit log but attempts to import (they
        stand at the end then).

        Args:
            lines: one each; line feeds at their ends don't matter.

        Raises:
            TransferError: this is no whole export, or the store is not empty.
            StoreError: the database could not.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One database, shared by as many replicas as there are when it is PostgreSQL."""

    revisions: RevisionStore
    audit: AuditLog
    tokens: TokenStore
    api_keys: ApiKeyStore
    limit_overrides: LimitOverrideStore
    nodes: NodeStore
    transfer: Transfer
    is_shared: bool
    """Whether other control planes may be using it, and have nodes of their own."""
    dispose: Callable[[], Awaitable[None]]

    def export(self) -> AsyncIterator[str]:
        """See :meth:`Transfer.export`."""
        return self.transfer.export()

    async def import_lines(self, lines: AsyncIterable[bytes | str]) -> Mapping[str, int]:
        """See :meth:`Transfer.import_lines`."""
        return await self.transfer.import_lines(lines)

    async def close(self) -> None:
        """Close every connection."""
        await self.dispose()
