"""The revisions as the pipeline uses them: a witness of what sources say, and a gate for what the admin API is asked.

See docs/decisions/0008-history-is-a-witness.md.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import structlog

from controlplane.sources import Loaded
from controlplane.store import Outcome, Revision, RevisionStore, StoreError

_log = structlog.get_logger(__name__)

AUTHOR = "file"
"""Of a document that was saved and not sent by somebody with a name."""


class NoStoreError(StoreError):
    """There is no history here, and so nothing that could keep what the admin API is asked for."""


class History:
    """The revisions of one gateway.

    Args:
        revisions: where they are; ``None`` keeps nothing.
        keep: how many revisions are kept.
    """

    def __init__(self, *, revisions: RevisionStore | None, keep: int) -> None:
        self._revisions = revisions
        self._keep = keep

    async def newest(self) -> Revision | None:
        """The newest revision; ``None`` when there is none, or nobody can say."""
        if self._revisions is None:
            return None
        try:
            return await self._revisions.newest()
        except StoreError as error:
            _log.error("the newest revision cannot be read", reason=str(error))
            return None

    async def recent(self, count: int) -> AsyncGenerator[Revision, None]:
        """The newest ``count`` revisions (1 to 500), newest first, each read when it is wanted; fewer when it can't."""
        if self._revisions is None:
            return
        try:
            for head in await self._revisions.page(limit=count):
                revision = await self._revisions.get(head.number)
                if revision is not None:
                    yield revision
        except StoreError as error:
            _log.error("the last revisions cannot be read", reason=str(error))

    async def accepted_before(self, number: int) -> Revision | None:
        """The newest revision below ``number`` that every node has acknowledged; ``None`` as in :meth:`newest`."""
        if self._revisions is None:
            return None
        try:
            heads = await self._revisions.page(number, 1, outcome=Outcome.APPLIED)
            return await self._revisions.get(heads[0].number) if heads else None
        except StoreError as error:
            _log.error("no accepted revision can be read", reason=str(error))
            return None

    async def knows(self, loaded: Loaded) -> bool:
        """Whether this text is the last one that its source had: then it is no change, whatever came since."""
        if self._revisions is None or not loaded.text:
            return False
        try:
            return await self._revisions.seen(loaded.origin) == _digest(loaded.text)
        except StoreError as error:
            _log.error("nobody can say whether a document is new; it is taken for new", reason=str(error))
            return False

    async def witness(self, loaded: Loaded) -> int | None:
        """Keep what a source says and what is accepted; its number, or ``None`` when it could not be kept."""
        if self._revisions is None or not loaded.text:
            return None
        digest = _digest(loaded.text)
        try:
            revision = await self._revisions.record(
                loaded.text, origin=loaded.origin, author=AUTHOR, message="", digest=digest
            )
            await self._revisions.saw(loaded.origin, digest)
        except StoreError as error:
            _log.error("a live document is not in the history", origin=loaded.origin, reason=str(error))
            return None
        await self._prune(self._revisions)
        return revision.number

    async def commit(self, text: bytes, *, author: str, origin: str, message: str, parent: int | None) -> Revision:
        """Keep what somebody asked for. What is given back is on the disk.

        Args:
            text: the document.
            author: who asked.
            origin: by which way.
            message: why.
            parent: the number that has to be the newest, 0 for none; ``None`` for whichever it is.

        Raises:
            NoStoreError: no history is kept.
            ConflictError: another revision came in between.
            StoreError: it may or may not have been kept.
        """
        if self._revisions is None:
            raise NoStoreError("no history is kept here: set GATEWAY_STORE_URL")
        revision = await self._revisions.record(
            text, origin=origin, author=author, message=message, digest=_digest(text), parent=parent
        )
        await self._prune(self._revisions)
        return revision

    async def mark(self, number: int | None, outcome: Outcome, groups: Mapping[str, Any]) -> None:
        """Write down what became of a revision, in each node group."""
        if self._revisions is None or number is None:
            return
        try:
            await self._revisions.mark(number, outcome, groups)
        except StoreError as error:
            _log.error("an outcome is not in the history", revision=number, outcome=outcome, reason=str(error))

    async def changes(self) -> AsyncIterator[int]:
        """The newest number, now and whenever anybody has recorded or marked one; without a history, nothing ever."""
        if self._revisions is None:
            await asyncio.Event().wait()
            return
        async for number in self._revisions.changes():
            yield number

    async def _prune(self, revisions: RevisionStore) -> None:
        try:
            await revisions.prune(self._keep)
        except StoreError as error:
            _log.warning("old revisions were not deleted", reason=str(error))


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
