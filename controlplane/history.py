"""Writes down what goes live and what became of it. A store that is away is logged and stops no change."""

from __future__ import annotations

import hashlib

import structlog

from controlplane.sources import Loaded
from controlplane.store import Outcome, RevisionStore, StoreError

_log = structlog.get_logger(__name__)

AUTHOR = "file"
"""Of a document that was saved and not sent by somebody with a name."""


class History:
    """The revisions of one gateway.

    Args:
        store: where they are; ``None`` keeps nothing.
        keep: how many revisions are kept.
    """

    def __init__(self, *, store: RevisionStore | None, keep: int) -> None:
        self._store = store
        self._keep = keep

    async def record(self, loaded: Loaded) -> int | None:
        """Keep a document that was accepted; return its number, or ``None`` when it could not be kept."""
        if self._store is None or not loaded.text:
            return None
        digest = hashlib.sha256(loaded.text).hexdigest()
        try:
            revision = await self._store.record(
                loaded.text, origin=loaded.origin, author=AUTHOR, message="", digest=digest
            )
            await self._store.prune(self._keep)
        except StoreError as error:
            _log.error("a live document is not in the history", origin=loaded.origin, reason=str(error))
            return None
        return revision.number

    async def mark(self, number: int | None, outcome: Outcome) -> None:
        """Write down what became of a revision."""
        if self._store is None or number is None:
            return
        try:
            await self._store.mark(number, outcome)
        except StoreError as error:
            _log.error("an outcome is not in the history", revision=number, outcome=outcome, reason=str(error))
