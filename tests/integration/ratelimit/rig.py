"""A limiter on a real store, and a crowd of callers that measures every decision."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
import pytest
from envoy.service.ratelimit.v3.rls_pb2_grpc import RateLimitServiceStub
from prometheus_client import CollectorRegistry

from controlplane.translate import filter_order
from controlplane.translate.filters.ratelimit import RateLimitFilter, WaitingFilter
from ratelimit_service.limiter import Limiter
from ratelimit_service.local_store import LocalStore
from ratelimit_service.matching import Descriptor
from ratelimit_service.metrics import Metrics
from ratelimit_service.over_limit import OverLimitCache
from ratelimit_service.overrides import OverrideBook
from ratelimit_service.policy import PolicyBook
from ratelimit_service.redis_store import RedisStore
from ratelimit_service.service import Decider, RateLimitService
from ratelimit_service.waiting_room import WaitingRoom
from ratelimit_service.wire import add_to_server
from servicekit.contracts import Limit, LimitPolicy

PATIENT = 2.0
"""Seconds that a store may take where a test is not about that: a busy machine must not make it decide elsewhere."""


def be_patient(patch: pytest.MonkeyPatch) -> None:
    """Let Envoys that are set up from now on wait for the limiter as long as a busy machine may need."""
    for one in filter_order.FILTERS:
        asks = one._asked if isinstance(one, WaitingFilter) else one
        if isinstance(asks, RateLimitFilter):
            patch.setattr(asks, "_timeout", max(PATIENT, asks._timeout))


@asynccontextmanager
async def running_store(url: str, *, deadline: float = PATIENT, patience: float = 10) -> AsyncIterator[RedisStore]:
    """A store with its connection up, for which it has ``patience`` seconds."""
    store = RedisStore(url=url, metrics=Metrics(CollectorRegistry()), deadline=deadline)
    task = asyncio.create_task(store.run())
    try:
        await until(lambda: store.available, patience)
        yield store
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    """Wait until something is so; the seconds it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "waited in vain"
        await asyncio.sleep(0.001)
    return time.monotonic() - began


def policy_of(*limits: Limit) -> PolicyBook:
    """A policy book that holds ``limits``."""
    policy = PolicyBook(clock=time.monotonic)
    policy.apply(LimitPolicy(limits=limits))
    return policy


def limiter_on(store: RedisStore, policy: PolicyBook, registry: CollectorRegistry | None = None) -> Limiter:
    """A limiter in front of ``store``; what it counts is in ``registry``."""
    metrics = Metrics(registry or CollectorRegistry())
    return Limiter(
        policy=policy,
        overrides=OverrideBook(wall=time.time, changed=lambda: None),
        store=store,
        local=LocalStore(clock_us=lambda: time.monotonic_ns() // 1000),
        refused=OverLimitCache(),
        metrics=metrics,
        clock=time.monotonic,
        room=WaitingRoom(told=metrics.waited),
    )


@dataclass(frozen=True, slots=True)
class Rig:
    """A service that is being served, and a client of it."""

    policy: PolicyBook
    stub: RateLimitServiceStub


@asynccontextmanager
async def serving(decider: Decider, policy: PolicyBook, socket: Path) -> AsyncIterator[Rig]:
    """Serve on a Unix socket while the block runs."""
    server = grpc.aio.server()
    add_to_server(RateLimitService(limiter=decider, policy=policy).ShouldRateLimit, server)
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
            yield Rig(policy, RateLimitServiceStub(channel))
    finally:
        await server.stop(0)


@dataclass(slots=True)
class Crowd:
    """Callers who ask a limiter all the time, each under every limit in turn, and what came of it."""

    limiter: Limiter
    limits: tuple[str, ...]
    callers: int = 8
    outcomes: Counter[tuple[str, bool, str | None]] = field(default_factory=Counter)
    """Limit, allowed, source."""
    slowest: float = 0.0
    lag: float = 0.0
    """How late the event loop itself was at the worst: what a busy machine adds to a decision."""
    _stopping: bool = False

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[Crowd]:
        """Ask while the block runs."""
        self._stopping = False
        tasks = [asyncio.create_task(self._ask(f"caller-{number}")) for number in range(self.callers)]
        tasks.append(asyncio.create_task(self._watch_the_loop()))
        try:
            yield self
        finally:
            self._stopping = True
            await asyncio.gather(*tasks)

    def begin_anew(self) -> None:
        """Forget what was counted."""
        self.outcomes.clear()
        self.slowest = self.lag = 0.0

    def count(self, *, limit: str, allowed: bool | None = None, source: str | None = None) -> int:
        """How many decisions were such."""
        return sum(
            number
            for (name, outcome, by), number in self.outcomes.items()
            if name == limit and allowed in (None, outcome) and source in (None, by)
        )

    async def _ask(self, caller: str) -> None:
        while not self._stopping:
            for name in self.limits:
                began = time.perf_counter()
                decision = await self.limiter.decide("gateway", [Descriptor((("limit", name), ("user", caller)), 1)])
                took = time.perf_counter() - began
                self.slowest = max(self.slowest, took)
                self.outcomes[name, decision.allowed, decision.source] += 1
            await asyncio.sleep(0.002)

    async def _watch_the_loop(self) -> None:
        while not self._stopping:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            self.lag = max(self.lag, time.perf_counter() - began - 0.001)
