"""Keeps one policy up to date from a file, for a service that runs without a control plane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog
from watchfiles import awatch

from servicekit.contracts import Contract, ContractError

C = TypeVar("C", bound=Contract)

MAX_BYTES: Final = 4 * 1024 * 1024
LOOK_SECONDS: Final = 1.0
"""How long a change can go unnoticed that no event tells of: on network file systems, behind links that are swapped."""

_log = structlog.get_logger(__name__)


class PolicyFile(Generic[C]):
    """One policy in canonical JSON. What was in force stays in force while the file is missing or can't be enforced.

    Args:
        path: of the file.
        contract: the policy's type.
        apply: puts a policy in force, all of it or nothing. May not block.
        refusals: what ``apply`` raises when it can't.
    """

    def __init__(
        self, path: Path, *, contract: type[C], apply: Callable[[C], None], refusals: tuple[type[Exception], ...]
    ) -> None:
        self._path = path.absolute()
        self._contract = contract
        self._put_in_force = apply
        self._refusals: tuple[type[Exception], ...] = (ContractError, *refusals)
        self._last: bytes | str = ""
        """What was read last, or why nothing could be."""
        self._complaint: str | None = "no policy yet"

    def complaint(self) -> str | None:
        """Why this process can't decide: no policy was ever in force."""
        return self._complaint

    async def run(self) -> None:
        """Begin with what the file has, then follow its changes for ever."""
        while True:
            await self._look()
            try:
                await self._watch()
            except OSError as error:  # its folder is not there
                _log.debug("the policy file can't be watched", reason=error.strerror)
                await asyncio.sleep(LOOK_SECONDS)

    async def _watch(self) -> None:
        milliseconds = int(LOOK_SECONDS * 1000)
        watcher = awatch(
            self._path.parent, watch_filter=None, rust_timeout=milliseconds, yield_on_timeout=True, recursive=False
        )
        async with aclosing(watcher) as changes:
            async for _ in changes:
                await self._look()

    async def _look(self) -> None:
        found = await asyncio.to_thread(_read, self._path)
        if found == self._last:
            return
        self._last = found
        if isinstance(found, str):
            _log.error("the policy file can't be read", path=str(self._path), reason=found)
            return
        try:
            self._put_in_force(self._contract.decode(found))
        except self._refusals as error:
            _log.error(
                "the policy file can't be enforced; nothing has changed", path=str(self._path), reason=str(error)
            )
            return
        self._complaint = None


def _read(path: Path) -> bytes | str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        return error.strerror or "cannot be read"
    return content if len(content) <= MAX_BYTES else f"more than {MAX_BYTES} bytes"
