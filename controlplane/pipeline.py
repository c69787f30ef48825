"""From documents to what is live: what sources say, what the admin API is asked for, what other replicas recorded.

Whatever comes last is live: a source counts only when its text is another than the last time. See decision 13.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from controlplane.compiler import Compiled, Compiler
from controlplane.config import ConfigError, GatewayConfig, load_document
from controlplane.events import Events
from controlplane.history import History
from controlplane.live import Applied, Live, Status
from controlplane.model import Gateway
from controlplane.rollout import ReleaseOutcome, Rollout
from controlplane.sources import Loaded, Source
from controlplane.store import ConflictError, Outcome, Revision
from controlplane.xds.snapshot import Snapshot

OUTCOME_SECONDS = 10.0
"""How long the nodes have to answer before a revision counts as timed out; a canary's time comes on top."""

ABOUT_NODES = ("group-", "canary-")
"""How kinds of events begin after which the outcome of what is live may be another."""

RECALLED = 32
"""Revisions that nodes may be on their way from when a control plane starts; changes in quick succession pile up."""

RECALL_SECONDS = 3.0
"""How long a start is held up by that."""

_log = structlog.get_logger(__name__)


class Pipeline:
    """Brings documents live, one after the other: each good one goes out, each bad one is named and changes nothing.

    Args:
        sources: whom to follow.
        compiler: what it refuses does not go live.
        remember: is told what nodes of one group may have from before a restart, newest first.
        discover: is told what is about to go live, for what is found elsewhere; returns soon.
    """

    def __init__(
        self,
        *,
        sources: Sequence[Source],
        compiler: Compiler,
        rollout: Rollout,
        history: History,
        events: Events,
        remember: Callable[[Sequence[Snapshot]], None],
        discover: Callable[[Gateway], Awaitable[None]],
        registry: CollectorRegistry,
    ) -> None:
        self._sources = sources
        self._compiler = compiler
        self._rollout = rollout
        self._history = history
        self._events = events
        self._remember = remember
        self._discover = discover
        self._turn = asyncio.Lock()
        self._came = asyncio.Event()
        """Set when something else comes live."""
        self.status = Status()
        self._loads = Counter(
            "gateway_config_loads", "Documents read, by what became of them.", ["outcome"], registry=registry
        )
        self._live_since = Gauge(
            "gateway_config_live_timestamp_seconds", "When the live document went live.", registry=registry
        )

    @property
    def live(self) -> Live | None:
        """What nodes should have; ``None`` before the first document."""
        return self.status.live

    async def run(self) -> None:
        """Begin with the newest revision, then follow the sources and the other replicas, for ever."""
        if not self._compiler.asks_envoy:
            _log.warning("no Envoy binary here: snapshots go live without having been shown to one")
        await self._recall()
        await self._catch_up()
        async with asyncio.TaskGroup() as tasks:
            for source in self._sources:
                tasks.create_task(self._follow_source(source), name="source")
            tasks.create_task(self._follow_history(), name="history")
            tasks.create_task(self._follow_outcomes(), name="outcomes")

    def complaint(self) -> str | None:
        """Why this control plane can't serve: nothing has gone live yet."""
        return None if self.live else "no document is live yet"

    async def take(self, loaded: Loaded) -> None:
        """Bring what a source says live, or remember why not."""
        if self.live is not None and await self._history.knows(loaded):
            self.status = replace(self.status, refused=(), refused_at=None)
            return
        try:
            if isinstance(loaded.content, ConfigError):
                raise loaded.content
            compiled = await asyncio.to_thread(self.compile, loaded.content)
        except ConfigError as error:
            self._refuse(loaded.origin, error)
            return
        async with self._turn:
            number = await self._history.witness(loaded)
            live = Live(
                number=number, origin=loaded.origin, text=loaded.text, document=loaded.content, compiled=compiled
            )
            await self._bring_live(live)

    async def apply(
        self, text: bytes, *, author: str, origin: str, message: str, parent: int | None, wait: float
    ) -> Applied:
        """Record a document that somebody sent and bring it live; it is in the history before any node hears of it.

        Args:
            text: as :func:`~controlplane.config.load_document` reads it.
            author: who sent it.
            origin: what problems call it, and by which way it came.
            message: why.
            parent: the number that has to be the newest; ``None`` for whichever it is.
            wait: seconds to wait for the nodes; 0 for none.

        Raises:
            ConfigError: it has mistakes, or Envoy refuses what it becomes. Nothing was changed.
            ConflictError: the newest revision is not ``parent``. Nothing was changed.
            StoreError: it was perhaps not recorded. It did not go live; if it was recorded, it will.
        """
        if parent is not None and self.live is not None and self.live.number not in (None, parent):
            raise ConflictError(f"the newest revision is {self.live.number}, not {parent}")
        try:
            document, compiled = await asyncio.to_thread(self._compiler.load, text, origin)
        except ConfigError as error:
            self._tell_refused(origin, error)
            raise
        async with self._turn:
            revision = await self._history.commit(text, author=author, origin=origin, message=message, parent=parent)
            live = Live(number=revision.number, origin=origin, text=text, document=document, compiled=compiled)
            changed = await self._bring_live(live)
        settled = await self._rollout.settle(compiled.release, wait)
        return Applied(
            number=revision.number,
            digest=compiled.release.versions,
            changed=changed,
            outcome=settled.outcome,
            groups=settled.groups,
        )

    def compile(self, document: GatewayConfig) -> Compiled:
        """:meth:`Compiler.compile`."""
        return self._compiler.compile(document)

    def recall(self, revision: Revision) -> Compiled:
        """:meth:`Compiler.recall`."""
        return self._compiler.recall(revision.text, _origin(revision))

    async def _follow_source(self, source: Source) -> None:
        async for loaded in source.documents():
            await self.take(loaded)

    async def _follow_history(self) -> None:
        async for _ in self._history.changes():
            await self._catch_up()

    async def _recall(self) -> None:
        """Nodes that outlived the last control plane have what it sent: the newest revisions, whole or on the way."""
        until = time.monotonic() + RECALL_SECONDS
        recalled: defaultdict[str, list[Snapshot]] = defaultdict(list)
        async with aclosing(self._history.recent(RECALLED)) as revisions:
            async for revision in revisions:
                try:
                    compiled = await asyncio.to_thread(self.recall, revision)
                except ConfigError:
                    continue  # an older version of the gateway took it; what nodes have of it can't be known
                for group, snapshot in compiled.release.groups.items():
                    recalled[group].append(snapshot)
                if time.monotonic() >= until:
                    break
        for snapshots in recalled.values():
            self._remember(snapshots)

    async def _catch_up(self) -> None:
        """Bring the newest revision live, whoever recorded it; hear what became of it elsewhere."""
        outdated = await self._record_late()
        newest = await self._history.newest()
        if newest is None:
            return
        if self._is_newer(newest, outdated):
            if self.live is None and (newest.outcome is Outcome.REFUSED or _is_on_trial(newest)):
                await self._bring_back(newest.number)
            await self._adopt(newest, outdated)
        # Nodes of other replicas, or before a restart, may have refused it.
        if newest.outcome is Outcome.REFUSED and newest.number == self.status.number:
            await self._rollout.refuse({group: said.get("refused", {}) for group, said in newest.groups.items()})

    async def _record_late(self) -> Live | None:
        """What a source said while the store was away is the newest change, and is recorded now.

        Returns:
            What is live, when another replica has recorded it: then the history has the last word.
        """
        async with self._turn:
            live = self.live
            if live is None or live.number is not None:
                return None
            loaded = Loaded(live.origin, live.document, live.text)
            if await self._history.knows(loaded):
                return live
            number = await self._history.witness(loaded)
            if number is not None:
                self._set_status(replace(self.status, live=replace(live, number=number)))
            return None

    def _is_newer(self, revision: Revision, outdated: Live | None = None) -> bool:
        """Whether it is to take the place of what is live: of ``outdated`` in any case."""
        live = self.live
        if live is None or live is outdated:
            return True
        if live.number is None:
            return False
        # An import may put another text where a number was.
        return live.number < revision.number or (live.number == revision.number and live.text != revision.text)

    async def _bring_back(self, number: int) -> None:
        """Before the newest revision, which not all nodes are to have: what the others had."""
        accepted = await self._history.accepted_before(number)
        if accepted is not None:
            await self._adopt(accepted)

    async def _adopt(self, revision: Revision, outdated: Live | None = None) -> None:
        """Bring a revision live that is in the history."""
        try:
            document, compiled = await asyncio.to_thread(self._compiler.load, revision.text, _origin(revision))
        except ConfigError as error:
            self._refuse(_origin(revision), error)
            return
        async with self._turn:
            if not self._is_newer(revision, outdated):
                return  # another has been faster
            live = Live(
                number=revision.number, origin=revision.origin, text=revision.text, document=document, compiled=compiled
            )
            await self._bring_live(live)

    async def _bring_live(self, live: Live) -> bool:
        """Let nodes have it; whether that was a change."""
        await self._discover(live.compiled.gateway)
        changed = await self._rollout.publish(live.compiled.release)
        first = self.live is None
        self._loads.labels("applied" if changed else "unchanged").inc()
        since = datetime.now(UTC) if changed or first else self.status.live_since
        same_number = self.live is not None and self.live.number == live.number
        self._set_status(
            Status(
                live=live,
                live_since=since,
                outcome=self.status.outcome if same_number and not changed else Outcome.PENDING,
                groups=self.status.groups if same_number and not changed else (),
            )
        )
        if changed or first:
            self._live_since.set(datetime.now(UTC).timestamp())
        self._tell("document is live", "live", changed=changed)
        return changed

    def _set_status(self, status: Status) -> None:
        """Begin to follow what becomes of it."""
        self.status = status
        self._came.set()
        self._came = asyncio.Event()

    async def _follow_outcomes(self) -> None:
        """What becomes of a revision that is not live any more is of no interest."""
        while True:
            tasks: list[asyncio.Task[object]] = [asyncio.create_task(self._came.wait(), name="next document")]
            if self.live is not None:
                tasks.append(asyncio.create_task(self._follow_outcome(self.live), name="outcome"))
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)

    async def _follow_outcome(self, live: Live) -> None:
        """Write down what becomes of a revision, as often as that changes."""
        canary = live.compiled.release.canary
        seconds = OUTCOME_SECONDS + (canary.hold if canary else 0)
        known: ReleaseOutcome | None = None
        async with aclosing(self._events.subscribe()) as happenings:
            while True:
                settled = await self._rollout.settle(live.compiled.release, seconds)
                if settled.outcome is Outcome.PENDING and not settled.groups:
                    await asyncio.Event().wait()  # a newer one is on its way out: this one's outcome is what it was
                if settled != known:
                    known = settled
                    await self._note(live, settled)
                if settled.outcome is not Outcome.TIMED_OUT:  # else the ones that are late may still come
                    async for event in happenings:
                        if event.kind.startswith(ABOUT_NODES):
                            break

    async def _note(self, live: Live, settled: ReleaseOutcome) -> None:
        self.status = replace(self.status, outcome=settled.outcome, groups=settled.groups)
        groups = {one.group: {"outcome": one.outcome, "refused": dict(one.refused)} for one in settled.groups}
        await self._history.mark(live.number, settled.outcome, groups)
        self._tell("nodes have answered", "outcome", outcome=settled.outcome)

    def _tell(self, what: str, kind: str, **data: object) -> None:
        live = self.live
        assert live is not None  # noqa: S101  only called when something is
        about = {"revision": live.number, "origin": live.origin, "digest": self.status.digest, **data}
        _log.info(what, **about)
        self._events.publish(kind, **about)

    def _refuse(self, origin: str, error: ConfigError) -> None:
        self._loads.labels("refused").inc()
        self.status = replace(self.status, refused=error.problems, refused_at=datetime.now(UTC))
        _log.error("document refused; what was live stays live", origin=origin, problems=str(error).splitlines())
        self._tell_refused(origin, error)

    def _tell_refused(self, origin: str, error: ConfigError) -> None:
        self._events.publish("refused", origin=origin, problems=[str(problem) for problem in error.problems])


def _is_on_trial(revision: Revision) -> bool:
    """Whether only a canary may have had it when the last control plane ended."""
    if revision.outcome is Outcome.APPLIED:
        return False
    try:
        return load_document(revision.text, origin=_origin(revision)).rollout.canary is not None
    except ConfigError:
        return False


def _origin(revision: Revision) -> str:
    return f"revision {revision.number}"
