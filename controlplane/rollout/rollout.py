"""Brings releases to the node groups and watches what becomes of them. See docs/decisions/0010-rollout.md."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from controlplane.model import Canary
from controlplane.rollout.canary import CanaryRun, Phase
from controlplane.rollout.edition import Edition
from controlplane.rollout.outcome import GroupState, Reason, ReleaseOutcome
from controlplane.rollout.ports import Cache, Events, Ledger, Loads, Placement
from controlplane.rollout.stage import Stage, editions_of, policies_of
from controlplane.rollout.telling import Teller, outcome_of, state_of
from controlplane.store import Outcome
from controlplane.translate import Release

POLICY_SECONDS = 2.0
"""How long a change waits for services that do not answer."""

STARTING_SECONDS = 30.0
"""How long after the first release nodes that were connected to the last control plane may take to come back."""


class NoCanaryError(Exception):
    """No canary is running."""


class Rollout:
    """What every group should have: the newest release, or what the group accepted last.

    Everything between two ``await`` is one step, so a node only ever hears of whole snapshots.

    Args:
        regroup: moves every stream to where ``placement`` says.
        clock: seconds; never goes back.
        calendar: the time of day, for people.
        policy_deadline: seconds; see :data:`POLICY_SECONDS`.
        is_alone: whether all nodes are connected here; else a canary without a node here may have some elsewhere.
    """

    def __init__(
        self,
        *,
        cache: Cache,
        ledger: Ledger,
        placement: Placement,
        regroup: Callable[[], None],
        loads: Loads,
        events: Events,
        registry: CollectorRegistry,
        clock: Callable[[], float] = time.monotonic,
        calendar: Callable[[], datetime] = lambda: datetime.now(UTC),
        policy_deadline: float = POLICY_SECONDS,
        is_alone: bool = True,
    ) -> None:
        self._ledger = ledger
        self._loads = loads
        self._clock = clock
        self._calendar = calendar
        self._policy_deadline = policy_deadline
        self._is_alone = is_alone
        self._stage = Stage(cache=cache, ledger=ledger, placement=placement, regroup=regroup)
        self._teller = Teller(events, registry)
        self._number = 0
        self._release: Release | None = None
        self._is_done_with = True
        """Whether the newest release went as far as it can; else the same may be published once more."""
        self._canary: CanaryRun | None = None
        self._watched_from = 0.0
        """When the loads of :attr:`_canary` begin, by the load book's clock."""
        self._look_seconds = 0.0
        self._began = 0.0
        self._lock = asyncio.Lock()
        self._stirred = asyncio.Event()

    async def publish(self, release: Release) -> bool:
        """Let every group have its part of ``release``; ``False`` when nothing changed.

        The services come first: at most ``policy_deadline`` seconds are waited for them, and when one of them refuses
        its policy, no Envoy hears of the release. With a canary, only its nodes get it for now. What a group
        has refused is not published to it again until its content changes.
        """
        async with self._lock:
            if self._release is not None and self._release.versions == release.versions and self._is_done_with:
                return False
            first, self._release, self._is_done_with = self._release is None, release, False
            self._number += 1
            if first:
                self._began = self._clock()
                # Whole: nodes that outlived the last control plane hold more than policies, and would lose the rest.
                self._stage.place(release, self._number, self._clock())
            else:
                self._look()  # what was accepted a moment ago is what there is to go back to
                self._end_canary("a newer release takes its place")
                await self._bring(release)
            self._is_done_with = True
            self._stir()
            return True

    async def settle(self, release: Release, seconds: float) -> ReleaseOutcome:
        """What becomes of ``release``: waits until every connected node has answered and no canary is under way.

        After ``seconds`` it says how things stand; with 0 nobody has had time, so what is open is pending. A release
        that a newer one has replaced stays pending.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            changed, stirred = self._ledger.next_change, self._stirred
            await self.review()
            if self._release is None or self._release.versions != release.versions:
                return ReleaseOutcome(outcome=Outcome.PENDING, groups=())
            outcome = ReleaseOutcome.of(outcome_of(group, self._canary) for group in self._stage.followers)
            left = deadline - asyncio.get_running_loop().time()
            if outcome.outcome is not Outcome.PENDING:
                return outcome
            if left <= 0:
                return outcome.at_deadline() if seconds > 0 else outcome
            await self._rest(changed, stirred, min(left, self._pause()))

    async def run(self) -> None:
        """Watch for ever: roll groups back, and bring canaries to their end."""
        while True:
            changed, stirred = self._ledger.next_change, self._stirred
            await self.review()
            await self._rest(changed, stirred, self._pause())

    async def review(self) -> None:
        """Look once at what the nodes say, and do what follows from it."""
        while self._look():
            self._stir()
        if self._canary is not None and self._canary.phase is Phase.PROMOTING and self._stage.tried:
            await self._promote(self._canary)
            self._look()

    async def refuse(self, refusals: Mapping[str, Mapping[str, str]]) -> None:
        """Take groups back whose nodes on another replica, or before a restart, have refused what is live here.

        Args:
            refusals: ids of the nodes that refuse, and their words, by group. A group that went back already, that
                has nothing to go back to, or that is not there, is left alone.
        """
        async with self._lock:
            at = self._calendar()
            reasons = {
                group: Reason(at=at, why=next(iter(words.values())), node=next(iter(words)), refused=words)
                for group, words in refusals.items()
                if words
            }
            if self._canary is not None and self._canary.is_running and reasons.keys() & self._canary.editions.keys():
                self._end_canary("a node of another replica refuses it", next(iter(reasons.values())))
            for group in self._stage.take_back(reasons, self._clock()):
                self._teller.rolled_back(group)
            self._stir()

    def state(self) -> tuple[GroupState, ...]:
        """How every group stands, the services last."""
        return tuple(state_of(group, self._canary) for group in self._stage.followers)

    async def promote(self) -> None:
        """Let every node have what the canary has.

        Raises:
            NoCanaryError: no canary is running.
        """
        self._running().end(Phase.PROMOTING, "promoted by hand")
        await self.review()

    async def abort(self) -> None:
        """Take the canary's nodes back to what all others have. The same release may be published again.

        Raises:
            NoCanaryError: no canary is running.
        """
        self._running()
        self._end_canary("aborted by hand")
        self._is_done_with = False
        self._stir()

    async def _bring(self, release: Release) -> None:
        editions = editions_of(release, self._number)
        top = next(iter(editions.values()))
        news = self._news(editions)
        if release.canary is not None and news and self._split(release.canary, news):
            await self._try_out(release.canary, news)
        elif await self._policies_first(top, beside=False):
            self._stage.place(release, self._number, self._clock())
        else:
            self._hold_back(editions)

    def _news(self, editions: Mapping[str, Edition]) -> dict[str, Edition]:
        """What is new for nodes that are live, and was not refused."""
        groups = self._stage.groups
        return {
            name: edition
            for name, edition in editions.items()
            if name in groups and not edition.is_as(groups[name].live) and groups[name].refusal_of(edition) is None
        }

    def _split(self, canary: Canary, news: Mapping[str, Edition]) -> bool:
        """Set the canary's nodes apart, if there is any to which something is new."""
        self._stage.split(canary)
        has_just_started = self._clock() < self._began + STARTING_SECONDS
        if not self._is_alone or has_just_started or any(self._stage.apart[name].nodes for name in news):
            return True
        self._stage.unite()
        self._teller.skipped_canary(news)
        return False

    async def _try_out(self, canary: Canary, news: Mapping[str, Edition]) -> None:
        for name, edition in news.items():
            self._stage.groups[name].hold_back(edition, None)
        if not await self._policies_first(next(iter(news.values())), beside=True):
            self._stage.unite()
            self._hold_back(news)
            return
        self._stage.try_out(news)
        is_elsewhere = not any(self._stage.apart[name].nodes for name in news)
        self._canary = CanaryRun(canary=canary, editions=news, now=self._clock(), is_elsewhere=is_elsewhere)

    async def _policies_first(self, edition: Edition, *, beside: bool) -> bool:
        """Let the services have the policies of ``edition`` before any Envoy does; ``False`` when they refuse them."""
        stage = self._stage
        if self._services_refuse(edition):
            return False
        if stage.expect(edition, self._clock(), beside=beside):
            deadline = asyncio.get_running_loop().time() + self._policy_deadline
            while True:
                changed = self._ledger.next_change
                self._look()
                left = deadline - asyncio.get_running_loop().time()
                if self._services_refuse(edition) or stage.services is None or stage.services.is_settled or left <= 0:
                    break
                await _either(changed, changed, left)
        if not self._services_refuse(edition):
            return True
        stage.expect(None, self._clock())
        return False

    def _services_refuse(self, edition: Edition) -> Reason | None:
        services = self._stage.services
        return services.refusal_of(policies_of(edition)) if services is not None else None

    def _hold_back(self, editions: Mapping[str, Edition]) -> None:
        """The services refuse the policies: the groups stay where they are."""
        for name, edition in editions.items():
            reason = self._services_refuse(edition)
            if name in self._stage.groups:
                self._stage.groups[name].hold_back(edition, reason)
            if self._stage.services is not None:
                self._stage.services.hold_back(policies_of(edition), reason)

    async def _promote(self, canary: CanaryRun) -> None:
        async with self._lock:
            if canary is not self._canary or not self._stage.tried or self._release is None:
                return
            edition = next(iter(canary.editions.values()))
            if await self._policies_first(edition, beside=False):
                self._stage.place(self._release, self._number, self._clock())
                self._loads.ignore()
            else:
                self._end_canary("the services refuse its policies", self._services_refuse(edition))
            self._stir()

    async def _rest(self, changed: asyncio.Event, stirred: asyncio.Event, seconds: float) -> None:
        """Until there is something to look at. A thousand nodes answer one by one: looking is a tenth of the time."""
        await _either(changed, stirred, seconds)
        await asyncio.sleep(max(_SHORTEST_PAUSE, _SHARE * self._look_seconds))

    def _look(self) -> bool:
        """Hear all nodes; whether something went back, so that they will have more to say."""
        began = time.perf_counter()
        now, at = self._clock(), self._calendar()
        rolled = self._stage.look(now, at)
        for group in rolled:
            self._teller.rolled_back(group)
        ended = self._canary is not None and self._watch(self._canary, now, at)
        self._teller.look_at(self._stage.followers, self._canary)
        self._look_seconds = time.perf_counter() - began
        return bool(rolled) or ended

    def _watch(self, canary: CanaryRun, now: float, at: datetime) -> bool:
        """Follow the canary; whether it has just been rolled back."""
        stage = self._stage
        if not canary.is_running:
            canary.promoted(not stage.tried and all(group.is_settled for group in stage.groups.values()))
            return False
        phase = canary.phase
        load = self._loads.since(self._watched_from, canary.nodes)
        others = (stage.groups[name].answers.nodes for name in canary.editions if name in stage.groups)
        reason = canary.hear(
            stage.apart,
            now,
            at,
            stable={name: group.live for name, group in stage.groups.items()},
            load=load,
            others=self._loads.since(self._watched_from, frozenset[str]().union(*others)),
        )
        if canary.phase is Phase.HOLDING and phase is not Phase.HOLDING:
            self._watched_from = self._loads.watch(canary.canary.hold)
        policies = self._services_refuse(next(iter(canary.editions.values())))
        if reason is None and policies is None:
            return False
        self._end_canary(canary.why or "the services refuse its policies", reason or policies)
        return True

    def _end_canary(self, why: str, reason: Reason | None = None) -> None:
        """Take the canary's nodes back, if there are any.

        Args:
            why: for people.
            reason: why it is not to be published again; ``None`` when it may be.
        """
        canary, stage = self._canary, self._stage
        if canary is None or not stage.tried:
            return
        canary.end(Phase.ROLLED_BACK, why)
        stage.unite()
        for name, edition in canary.editions.items():
            group = stage.groups[name]
            group.leave(edition)
            if reason is not None:
                group.refuse(edition, reason)
                self._teller.rolled_back(group)
            else:
                group.hold_back(edition, canary.reason(why, self._calendar()))
        self._loads.ignore()
        stage.expect(None, self._clock())

    def _running(self) -> CanaryRun:
        if self._canary is None or not self._canary.is_running:
            raise NoCanaryError("no canary is running")
        return self._canary

    def _pause(self) -> float:
        """Seconds until time alone may change something."""
        if self._canary is not None and self._canary.is_running:
            return _CANARY_PAUSE
        times = [wakes for group in self._stage.followers if (wakes := group.wakes_at) is not None]
        return min(max(min(times, default=_LONGEST_PAUSE + self._clock()) - self._clock(), 0.0), _LONGEST_PAUSE)

    def _stir(self) -> None:
        self._stirred.set()
        self._stirred = asyncio.Event()


async def _either(one: asyncio.Event, other: asyncio.Event, seconds: float) -> None:
    """Until one of the two is set, or for ``seconds``."""
    waits = [asyncio.ensure_future(event.wait()) for event in {one, other}]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


_SHORTEST_PAUSE = 0.01
_LONGEST_PAUSE = 60.0
_CANARY_PAUSE = 0.1
_SHARE = 10
