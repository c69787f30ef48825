"""Canaries of two real Envoys, judged by the real load reports."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from controlplane.model import Canary, NodeSelector
from controlplane.store import Outcome
from controlplane.xds.snapshot import Snapshot
from tests.harness.echo import running_echo
from tests.harness.envoy import short_folder
from tests.harness.rollouts import RolloutPlane, running_rollout
from tests.harness.xds import eventually
from tests.harness.xds_envoy import Transport, XdsEnvoy, running_xds_envoy

pytestmark = pytest.mark.timeout(90)

ENVOY = Transport(aggregated=True, delta=True)
PAUSE = 0.01


@dataclass(slots=True)
class Pair:
    """Two Envoys of two groups, of which the canary picks the one called ``bird``; each has its own port."""

    plane: RolloutPlane
    bird: XdsEnvoy
    plain: XdsEnvoy
    seen: dict[str, Counter[tuple[int, str]]] = field(default_factory=dict)
    """How requests were answered, and by which cluster, of each of the two."""

    def groups(self, backend: int, cluster: str) -> dict[str, Snapshot]:
        """Both route everything to one cluster."""
        return {"birds": self.bird.snapshot(backend, cluster), "plains": self.plain.snapshot(backend, cluster)}

    async def drive(self) -> None:
        """Send requests to both until cancelled."""
        async with httpx.AsyncClient(timeout=5) as client:
            while True:
                for name, envoy in (("bird", self.bird), ("plain", self.plain)):
                    answer = await client.get(f"http://127.0.0.1:{envoy.port}/")
                    self.seen.setdefault(name, Counter())[answer.status_code, answer.headers["x-cluster"]] += 1
                await asyncio.sleep(PAUSE)


@asynccontextmanager
async def running_pair(first: Path, second: Path, backend: int) -> AsyncIterator[Pair]:
    """The two, with a first release and requests that come all the time."""
    async with (
        running_rollout() as plane,
        running_xds_envoy(first, ENVOY, plane.address, node_id="bird", node_group="birds") as bird,
        running_xds_envoy(second, ENVOY, plane.address, node_id="plain", node_group="plains") as plain,
    ):
        pair = Pair(plane, bird, plain)
        await plane.publish(pair.groups(backend, "first"))
        await bird.until_route(200, "first")
        await plain.until_route(200, "first")
        driving = asyncio.create_task(pair.drive())
        try:
            yield pair
        finally:
            driving.cancel()


def canary(hold: float) -> Canary:
    """The node called ``bird``."""
    return Canary(nodes=NodeSelector(ids=("bird",)), hold=hold, max_error_rate=0.05)


async def test_one_that_fails_is_rolled_back_by_itself() -> None:
    """The new upstream answers 500: the other Envoy never sees it, and the first goes back before the time is over."""
    with running_echo() as good, running_echo() as bad, short_folder() as one, short_folder() as two:
        bad.status = 500
        async with running_pair(one, two, good.port) as pair:
            release = await pair.plane.publish(pair.groups(bad.port, "second"), canary=canary(60))
            outcome = await pair.plane.rollout.settle(release, 30)
            assert outcome.outcome is Outcome.REFUSED
            assert set(pair.plane.phases().values()) == {"rolled-back"}
            state = pair.plane.state("birds")
            assert state.rolled_back is not None
            assert "requests failed" in state.rolled_back.why
            await pair.bird.until_route(200, "first")
            assert pair.seen["bird"][500, "second"] >= 20
            assert set(pair.seen["plain"]) == {(200, "first")}


async def test_one_that_fares_well_is_promoted() -> None:
    """After its time both have it, and nobody lost a request."""
    with running_echo() as backend, short_folder() as one, short_folder() as two:
        async with running_pair(one, two, backend.port) as pair:
            release = await pair.plane.publish(pair.groups(backend.port, "second"), canary=canary(3))
            await pair.bird.until_route(200, "second")
            assert await pair.plain.route() == (200, "first")
            await eventually(lambda: "holding" in pair.plane.phases().values(), "it is watched")
            outcome = await pair.plane.rollout.settle(release, 30)
            assert outcome.outcome is Outcome.APPLIED
            await pair.plain.until_route(200, "second")
            await eventually(lambda: pair.seen["plain"][200, "second"], "a request is answered by the new one")
            assert {status for seen in pair.seen.values() for status, _ in seen} == {200}
            told = {event.kind: event.data for event in pair.plane.happened()}
            assert told["canary-promoting"]["requests"] > 0
            assert told["canary-promoting"]["errors"] == 0
