"""All issuers' keys of the policies in force: sources come and go with the policy, unchanged ones keep their keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator

from ext_authz.key_fetcher import FetchKeys
from ext_authz.key_source import KeyRefresher
from ext_authz.key_state import KeyState
from ext_authz.rules import KeySource
from servicekit.secret_reference import NO_SECRETS, Secrets
from servicekit.tasks import guard


class KeyRing:
    """One :class:`KeyRefresher` for every :class:`KeySource` in use. Not for several threads."""

    def __init__(
        self,
        *,
        fetcher: FetchKeys,
        clock: Callable[[], float],
        count_fetch: Callable[[str, str], None],
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        self._fetcher = fetcher
        self._secrets = secrets
        self._clock = clock
        self._count_fetch = count_fetch
        self._refreshers: dict[KeySource, KeyRefresher] = {}
        self._tasks: dict[KeySource, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    def apply(self, sources: Collection[KeySource]) -> None:
        """Have exactly these sources: begin with the new ones, keep the keys of those that were there before."""
        for source in [known for known in self._refreshers if known not in sources]:
            del self._refreshers[source]
        for source in sources:
            if source not in self._refreshers:
                self._refreshers[source] = KeyRefresher(
                    source,
                    fetcher=self._fetcher,
                    clock=self._clock,
                    count=self._count_fetch,
                    secrets=self._secrets,
                )
        self._changed.set()

    def refresher(self, source: KeySource) -> KeyRefresher | None:
        """What keeps the keys of ``source`` fresh; ``None`` when no policy in force uses it any more."""
        return self._refreshers.get(source)

    def states(self) -> Iterator[KeyState]:
        """What is known of every issuer's keys."""
        return (refresher.state for refresher in self._refreshers.values())

    async def run(self) -> None:
        """Refresh all sources in the background, for ever.

        Raises:
            TaskEndedError: the refreshing of one source ended by itself, which is a fault of this program.
        """
        try:
            while True:
                self._changed.clear()
                await self._match_tasks()
                await self._watch()
        finally:
            await self._end(list(self._tasks))

    async def _match_tasks(self) -> None:
        await self._end([source for source in self._tasks if source not in self._refreshers])
        for source, refresher in self._refreshers.items():
            if source not in self._tasks:
                name = f"keys of {source.provider}"
                self._tasks[source] = asyncio.create_task(guard(name, refresher.run), name=name)

    async def _watch(self) -> None:
        """Return when the sources have changed; raise when a task has ended."""
        changed = asyncio.create_task(self._changed.wait(), name="key sources changed")
        try:
            done, _ = await asyncio.wait([changed, *self._tasks.values()], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            changed.cancel()

    async def _end(self, sources: list[KeySource]) -> None:
        ended = [self._tasks.pop(source) for source in sources]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)
