"""Follows one list: what was good stays until something good takes its place."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from controlplane.discovery.errors import DiscoveryError
from controlplane.discovery.permission import check_endpoints
from controlplane.discovery.sources import Lists
from controlplane.model import Endpoint, TargetList, Upstream

_JITTER = 0.1
"""Lists of one server are not all fetched at the same time."""

_LONGEST_FAREWELL = 5.0
"""Seconds for which the list is not read, too."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How things are with one list."""

    upstream: str
    kind: str
    """``file`` or ``http``."""
    endpoints: tuple[Endpoint, ...] | None = None
    """The last good ones; ``None`` before there were any."""
    changed_at: datetime | None = None
    """Since when they have been these."""
    good_at: datetime | None = None
    """When the list was last seen to be good."""
    failing_since: datetime | None = None
    """Since when it has not been; ``None`` while it is."""
    error: str = ""
    """Why it is not."""


class Follower:
    """Reads one list for ever.

    Args:
        upstream: whose endpoints it holds.
        source: the list.
        show: shows the endpoints, and those that are leaving.
        note: is told of every reading, and how it ended: ``changed``, ``unchanged`` or ``failed``.
        keep: writes down what is good; blocks.
        calendar: the time of day, for people.
        standing: what was known of the same list before.
    """

    def __init__(
        self,
        *,
        upstream: Upstream,
        source: Lists,
        show: Callable[[Follower], None],
        note: Callable[[Follower, str], None],
        keep: Callable[[Standing], None] = lambda _standing: None,
        calendar: Callable[[], datetime] = lambda: datetime.now(UTC),
        standing: Standing | None = None,
    ) -> None:
        self.upstream = upstream
        self._rules = rules_of(upstream)
        self.standing = standing or Standing(upstream=upstream.name, kind=self._rules.kind)
        self.has_read = asyncio.Event()
        """Set when the list was read once, however that ended, or need not be waited for."""
        if self.standing.endpoints is not None:
            self.has_read.set()
        self.leaving: tuple[Endpoint, ...] = ()
        """Endpoints that are in the list no more, and are shown for a moment yet."""
        self._source = source
        self._show = show
        self._note = note
        self._keep = keep
        self._calendar = calendar
        self._told: Sequence[Endpoint] = ()
        """What the list said last, good or not."""

    async def run(self) -> None:
        """Read, tell, pause; for ever."""
        while True:
            await self.look()
            pause = self._rules.interval
            await asyncio.sleep(pause * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 -- no secret

    async def look(self) -> None:
        """Read the list once."""
        try:
            read = await self._source.read()
            if read is not None:
                self._told = read
            check_endpoints(self._told, self._rules)
        except DiscoveryError as error:
            self._fail(str(error))
        else:
            await self._take(tuple(self._told))
        self.has_read.set()

    async def _take(self, endpoints: tuple[Endpoint, ...]) -> None:
        """Let them take the place of those before."""
        now, before = self._calendar(), self.standing
        changed = endpoints != before.endpoints
        self.standing = replace(
            before,
            endpoints=endpoints,
            changed_at=now if changed else before.changed_at,
            good_at=now,
            failing_since=None,
            error="",
        )
        self._note(self, "changed" if changed else "unchanged")
        if changed:
            _log.info("endpoints found", upstream=before.upstream, endpoints=len(endpoints))
            self.leaving = _leaving(self.upstream, before.endpoints or (), endpoints)
            self._show(self)
            await asyncio.to_thread(self._keep, self.standing)
            await self._part()

    async def _part(self) -> None:
        """Let those go that were kept until the first checks of the new ones have ended."""
        check = self.upstream.health_check
        if self.leaving and check is not None:
            self.has_read.set()  # nobody waits for a farewell
            await asyncio.sleep(min(check.timeout, _LONGEST_FAREWELL))
            self.leaving = ()
            self._show(self)

    def _fail(self, why: str) -> None:
        before = self.standing
        if why != before.error:
            kept = None if before.endpoints is None else len(before.endpoints)
            _log.warning("a list of endpoints is no good; the last good one stays", **_said(before, why), kept=kept)
        self.standing = replace(before, failing_since=before.failing_since or self._calendar(), error=why)
        self._note(self, "failed")


def _said(standing: Standing, why: str) -> dict[str, str]:
    return {"upstream": standing.upstream, "list": standing.kind, "reason": why}


def rules_of(upstream: Upstream) -> TargetList:
    """What the document says of the list."""
    assert upstream.discover is not None  # noqa: S101  only upstreams that have one are followed
    return upstream.discover


def _leaving(upstream: Upstream, before: tuple[Endpoint, ...], after: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Those of before, when each of them is replaced and none of the others has been checked yet: there would be
    nobody to take a request."""
    stay = {(one.host, one.port) for one in before} & {(one.host, one.port) for one in after}
    return () if upstream.health_check is None or stay or not after else before
