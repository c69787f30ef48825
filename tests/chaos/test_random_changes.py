"""Hundreds of random changes under load, over every kind of stream, while the control plane is killed again and again.

``make test`` makes fewer changes than ``make chaos``: GATEWAY_TEST_CHANGES says how many, GATEWAY_TEST_SEED which.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.config_dump import NotQuietError, has
from tests.chaos.random_document import GUARDED, OPEN, RandomDocument, Surroundings
from tests.harness.envoy import Envoy, short_folder
from tests.harness.fleet import Fleet
from tests.harness.idp import identity_provider
from tests.harness.jose import jwks, signing_key
from tests.harness.load import Load, LoadResult
from tests.harness.ports import free_port
from tests.harness.proxy import DelayingProxy
from tests.harness.tireless_backend import tireless_backend
from tests.harness.tokens import AUDIENCE, ISSUER, claims
from tests.harness.valkey import running_valkey

CHANGES = int(os.environ.get("GATEWAY_TEST_CHANGES", "60"))
SEED = int(os.environ.get("GATEWAY_TEST_SEED") or random.randrange(1_000_000))
KILLS = 5
LIVE_WITHIN = 20.0
QUIET_WITHIN = 45.0
"""Envoy may wait for up to 30 s before it connects again, after its stream was cut many times."""

KNOWN_GAPS = {("sotw", "NC"): 30.0}
"""Which Envoy may lose requests by which of its response flags, and for how many seconds since the first change that a
new control plane has live.

NC: a state-of-the-world client that comes back in the middle of many changes may lose old clusters before its routes
go, where a busy machine does not compile all the revisions that its clusters are of; Envoy may wait so long before it
comes back.
"""

pytestmark = pytest.mark.timeout(60 + 2 * CHANGES)

KEY = signing_key("ES256", "one")
HOSTS = tuple(f"127.0.0.{n}" for n in range(1, 6))


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that runs."""

    fleet: Fleet
    document: RandomDocument
    envoys: Sequence[Envoy]
    port: int
    proxy: DelayingProxy
    gaps: list[tuple[datetime, datetime]] = field(default_factory=list)
    """From each kill of the control plane to when the next one had a change live."""

    def lost(self) -> list[tuple[str, dict[str, Any]]]:
        """The requests that were not answered with 200: at which Envoy, and its access log's line."""
        logged = ((envoy.settings.node_id, line) for envoy in self.envoys for line in envoy.access_log())
        return [(name, line) for name, line in logged if line["status"] != 200]

    def is_known(self, name: str, line: dict[str, Any]) -> bool:
        """Whether a lost request is one of :data:`KNOWN_GAPS`."""
        at = datetime.fromisoformat(line["timestamp"])
        seconds = KNOWN_GAPS.get((name, line["response_flags"]))
        if seconds is None:
            return False
        return any(begin <= at <= end + timedelta(seconds=seconds) for begin, end in self.gaps)


@asynccontextmanager
async def running_scene(seed: int) -> AsyncIterator[Scene]:
    """A fleet with three Envoys: on delta ADS, on state-of-the-world ADS, and behind a proxy that can cut."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(short_folder())
        idp = stack.enter_context(identity_provider())
        idp.publish(jwks(KEY.jwk()))
        valkey = stack.enter_context(running_valkey())
        backend = free_port()
        await stack.enter_async_context(tireless_backend(HOSTS, backend))
        around = Surroundings(
            port=free_port(),
            spare_ports=(free_port(), free_port()),
            backends=tuple(f"http://{host}:{backend}" for host in HOSTS),
            issuer=ISSUER,
            audience=AUDIENCE,
            jwks_uri=idp.url,
        )
        document = RandomDocument(seed, around)
        fleet = Fleet(folder, redis_url=valkey.url)
        fleet.write(document.text)
        await stack.enter_async_context(fleet.client)
        await asyncio.to_thread(stack.enter_context, fleet)
        proxy = DelayingProxy(listen=folder / "cut.sock", target=Path(fleet.xds.path))
        await stack.enter_async_context(proxy.running())
        envoys = [
            await asyncio.to_thread(stack.enter_context, fleet.envoy("delta")),
            await asyncio.to_thread(stack.enter_context, fleet.envoy("sotw", delta=False)),
            await asyncio.to_thread(stack.enter_context, fleet.envoy("cut", xds=proxy.address)),
        ]
        yield Scene(fleet, document, envoys, around.port, proxy)


async def make_changes(scene: Scene) -> Counter[str]:
    """Save one change after another, each when the last is live; kill the control plane while some are on the way."""
    dice = random.Random(SEED)
    made: Counter[str] = Counter()
    kills = {CHANGES * (number + 1) // (KILLS + 1) for number in range(KILLS)}
    digest = await scene.fleet.until_live("", seconds=LIVE_WITHIN)
    for number in range(CHANGES):
        what = scene.document.change()
        made[what] += 1
        scene.fleet.write(scene.document.text)
        killed_at = None
        if number in kills:
            await asyncio.sleep(dice.uniform(0, 0.6))
            killed_at = datetime.now(UTC)
            scene.fleet.control_plane.kill()
            scene.fleet.control_plane.start()
        try:
            digest = await scene.fleet.until_live(digest, seconds=LIVE_WITHIN)
        except AssertionError as error:
            raise AssertionError(f"change {number} ({what}): {error}") from error
        if killed_at is not None:
            scene.gaps.append((killed_at, datetime.now(UTC)))
    return made


def check_losses(scene: Scene, results: Sequence[LoadResult]) -> None:
    """Nobody saw anything but 200, except where it is known and why."""
    lost = scene.lost()
    print(f"lost: {dict(Counter((name, line['response_flags']) for name, line in lost))}")
    unknown = [(name, line) for name, line in lost if not scene.is_known(name, line)]
    assert not unknown, f"{len(unknown)} requests lost, the first ones: {unknown[:3]}"
    assert not [words for result in results for words in result.broken]
    assert sum(result.total - result.statuses[200] for result in results) == len(lost)


async def cut_for_ever(proxy: DelayingProxy) -> None:
    """End every connection, at moments that nobody expects."""
    dice = random.Random(SEED)
    while True:
        await asyncio.sleep(dice.uniform(0.05, 1.0))
        proxy.cut()


async def until_all_have(envoys: Sequence[Envoy]) -> None:
    """Wait until the Envoys have the same; fails with the first difference."""
    deadline = time.monotonic() + QUIET_WITHIN
    while True:
        try:
            first, *others = [await asyncio.to_thread(has, envoy) for envoy in envoys]
            wrong = [
                f"{envoys[number + 1].settings.node_id}: {part}: {name}"
                for number, other in enumerate(others)
                for part in first.keys() | other.keys()
                for name in first.get(part, {}).keys() | other.get(part, {}).keys()
                if first.get(part, {}).get(name) != other.get(part, {}).get(name)
            ]
        except NotQuietError as error:
            wrong = [str(error)]
        if not wrong:
            assert first["ClustersConfigDump.dynamic_active_clusters"]
            assert first["EndpointsConfigDump.dynamic_endpoint_configs"]
            assert first["ListenersConfigDump.dynamic_listeners"]
            assert first["RoutesConfigDump.dynamic_route_configs"]
            return
        assert time.monotonic() < deadline, f"the Envoys do not come to have the same: {wrong}"
        await asyncio.sleep(0.1)


async def test_random_changes_lose_no_request_and_all_envoys_end_equal() -> None:
    """Open and guarded requests all the while, and nothing broken. Each change went live, one by one."""
    token = KEY.token(claims(exp=4_000_000_000, iat=1_700_000_000, scope="read write admin"))
    async with running_scene(SEED) as scene:
        loads = [
            Load(port=scene.port, path=path, headers=headers, connections=8, pause=0.02, reconnect_after=50)
            for path, headers in ((OPEN, {}), (GUARDED, {"authorization": f"Bearer {token}"}))
        ]
        running = [asyncio.create_task(load.run()) for load in loads]
        cutting = asyncio.create_task(cut_for_ever(scene.proxy))
        begun = time.monotonic()
        try:
            made = await make_changes(scene)
        finally:
            cutting.cancel()
            for load in loads:
                load.stop()
            results = await asyncio.gather(*running)
            print(f"seed {SEED}: {time.monotonic() - begun:.1f} s, {scene.proxy.accepted} streams cut,", end=" ")
            print([(result.total, dict(result.statuses), result.broken[:5]) for result in results])
        print(f"{made.total()} changes: {dict(made.most_common())}")
        check_losses(scene, results)
        assert len({one["digest"] for one in await scene.fleet.revisions()}) == CHANGES + 1
        for envoy in scene.envoys:
            assert envoy.counter("envoy_http_downstream_rq_xx", envoy_response_code_class="2") > 0
        with_fresh = scene.fleet.envoy("fresh")
        async with AsyncExitStack() as stack:
            fresh = await asyncio.to_thread(stack.enter_context, with_fresh)
            await until_all_have([fresh, *scene.envoys])


@pytest.mark.parametrize("seed", range(3))
def test_every_kind_of_change_happens(seed: int) -> None:
    """The test would prove little if its documents hardly differed."""
    around = Surroundings(
        port=1,
        spare_ports=(2, 3),
        backends=tuple(f"http://{host}:4" for host in HOSTS),
        issuer=ISSUER,
        audience=AUDIENCE,
        jwks_uri="http://127.0.0.1:5/",
    )
    document = RandomDocument(seed, around)
    texts, kinds = {document.text}, set()
    for _ in range(200):
        kinds.add(document.change())
        texts.add(document.text)
    assert len(texts) == 201
    assert len(kinds) == 19
