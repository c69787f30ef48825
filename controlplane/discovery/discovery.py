"""Follows every list of endpoints that a live document names, and shows what it finds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry

from controlplane.discovery.cache import DiscoveringCache
from controlplane.discovery.errors import DiscoveryError
from controlplane.discovery.follower import Follower, Standing, rules_of
from controlplane.discovery.memory import ListMemory
from controlplane.discovery.metrics import DiscoveryMetrics
from controlplane.discovery.permission import check_endpoints
from controlplane.discovery.sources import OpenLists
from controlplane.model import Gateway, Upstream
from controlplane.translate import names
from controlplane.translate.endpoints import assignment_name, discovered

FIRST_SECONDS: Final = 2.0
"""How long a document waits for lists that were never read, so that its new routes find endpoints."""

KEPT_SECONDS: Final = 900.0
"""How long a list is followed that no document names any more: longer than a release can still be taken back."""

_RETIRE_SECONDS: Final = 60.0
"""How often it is looked which lists are not needed any more."""


class Discovery:
    """The lists of this process.

    Args:
        cache: what it finds is shown there.
        open_list: how lists are opened.
        memory: where what is good outlives this process.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        *,
        cache: DiscoveringCache,
        open_list: OpenLists,
        memory: ListMemory,
        registry: CollectorRegistry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._open_list = open_list
        self._memory = memory
        self._metrics = DiscoveryMetrics(registry)
        self._clock = clock
        self._followers: dict[str, Follower] = {}
        self._tasks: dict[Follower, asyncio.Task[None]] = {}
        self._unneeded_since: dict[str, float] = {}
        self._current: frozenset[str] = frozenset()
        """Names of the assignments of the newest document."""
        self._shown: frozenset[str] = frozenset()
        """Names of its upstreams."""
        self._stirred = asyncio.Event()

    async def follow(self, gateway: Gateway) -> None:
        """Read the lists of ``gateway`` from now on. Waits for those that were never read, but not for long."""
        listed = {assignment_name(one): one for one in gateway.upstreams if one.discover is not None}
        self._show_metrics_of(frozenset(one.name for one in listed.values()))
        self._current = frozenset(listed)
        for name, upstream in listed.items():
            await self._follow(name, upstream)
        self._stirred.set()
        new = [self._followers[name].has_read.wait() for name in listed]
        try:
            async with asyncio.timeout(FIRST_SECONDS):
                await asyncio.gather(*new)
        except TimeoutError:
            return  # their routes answer 503 until the list comes

    async def run(self) -> None:
        """Read lists, for ever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._retire()
                followed = set(self._followers.values())
                for follower in followed - self._tasks.keys():
                    self._tasks[follower] = tasks.create_task(follower.run(), name=f"list of {follower.upstream.name}")
                for follower in self._tasks.keys() - followed:
                    self._tasks.pop(follower).cancel()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_RETIRE_SECONDS):
                        await self._stirred.wait()
                self._stirred.clear()

    def standings(self) -> tuple[Standing, ...]:
        """How things are with the lists of the newest document, by upstream."""
        found = (follower.standing for name, follower in self._followers.items() if name in self._current)
        return tuple(sorted(found, key=lambda one: one.upstream))

    async def _follow(self, name: str, upstream: Upstream) -> None:
        before = self._followers.get(name)
        if before is not None and before.upstream == upstream:
            return
        standing = self._known(upstream) or await self._remembered(upstream)
        self._followers[name] = Follower(
            upstream=upstream,
            source=self._open_list(rules_of(upstream)),
            show=self._show,
            note=self._note,
            keep=partial(self._keep, name, _place(upstream)),
            standing=standing,
        )
        if standing is not None and standing.endpoints is not None:
            self._cache.learn([discovered(upstream, standing.endpoints)])

    def _known(self, upstream: Upstream) -> Standing | None:
        """What was found for this upstream at the same place, by whatever rules: it goes on until the list is good by
        the new ones."""
        for other in self._followers.values():
            if _place(other.upstream) == _place(upstream) and other.standing.endpoints is not None:
                return other.standing
        return None

    async def _remembered(self, upstream: Upstream) -> Standing | None:
        """What an earlier process found there, if it is good by the rules of now."""
        kept = await asyncio.to_thread(self._memory.load, upstream.name, _place(upstream))
        if kept is None:
            return None
        try:
            check_endpoints(kept.endpoints, rules_of(upstream))
        except DiscoveryError:
            return None
        return Standing(
            upstream=upstream.name,
            kind=rules_of(upstream).kind,
            endpoints=kept.endpoints,
            changed_at=kept.good_at,
            good_at=kept.good_at,
        )

    def _keep(self, name: str, place: str, standing: Standing) -> None:
        """Of two lists for one upstream, that of the newest document is what a restart begins with."""
        if name in self._current and standing.endpoints is not None and standing.good_at is not None:
            self._memory.save(standing.upstream, place, standing.endpoints, standing.good_at)

    def _show_metrics_of(self, upstreams: frozenset[str]) -> None:
        for name in self._shown - upstreams:
            self._metrics.forget(name)
        self._shown = upstreams

    def _note(self, follower: Follower, outcome: str) -> None:
        if self._is_current(follower) and assignment_name(follower.upstream) in self._current:
            self._metrics.note(follower.standing, outcome)

    def _show(self, follower: Follower) -> None:
        endpoints = follower.standing.endpoints
        if self._is_current(follower) and endpoints is not None:
            self._cache.learn([discovered(follower.upstream, (*endpoints, *follower.leaving))])

    def _is_current(self, follower: Follower) -> bool:
        """Whether no other has taken its place since it began to read."""
        return self._followers.get(assignment_name(follower.upstream)) is follower

    def _retire(self) -> None:
        """End what no live release has needed for a while. One that was taken back a moment ago may come again."""
        now, needed = self._clock(), self._current | self._cache.wanted()
        for name in self._followers:
            if name in needed:
                self._unneeded_since.pop(name, None)
            else:
                self._unneeded_since.setdefault(name, now)
        over = [name for name, since in self._unneeded_since.items() if now >= since + KEPT_SECONDS]
        for name in over:
            del self._followers[name], self._unneeded_since[name]
        self._cache.forget(over)


def _place(upstream: Upstream) -> str:
    """Which list this is of which upstream, whatever the rules are that it is read by."""
    rules = rules_of(upstream)
    return names.discovered(upstream.name, f"{rules.kind}:{rules.place}")
