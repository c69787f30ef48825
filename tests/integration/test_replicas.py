"""Several control planes on one PostgreSQL: a change through one reaches the nodes of all, and any of them may die."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from gateway.bootstrap import build_bootstrap
from servicekit.address import Address
from tests.harness.echo import running_echo
from tests.harness.envoy import envoy_settings, running_envoy, short_folder
from tests.harness.fleet import Part
from tests.harness.ports import free_port
from tests.harness.postgres import Postgres, running_postgres

pytestmark = pytest.mark.timeout(120)

TOKEN = "test-admin-token"
WITHIN = 1.0
"""Seconds that a change may take from the answer of one replica to the nodes of another. The bar of the design."""
STARTED_WITHIN = 30.0
"""Seconds for what has just started: of that nothing is promised."""


class Replica:
    """One control plane with one Envoy that knows no other."""

    def __init__(self, folder: Path, store_url: str, first_port: int) -> None:
        folder.mkdir()
        self.port = free_port()
        """Where its Envoy listens: each Envoy is a group of its own here, for they share a machine."""
        self.xds = Address(path=str(folder / "xds.sock"))
        admin = f"127.0.0.1:{free_port()}"
        self.part = Part(
            "controlplane",
            folder=folder,
            told={
                "GATEWAY_XDS_BIND": str(self.xds),
                "GATEWAY_ADMIN_BIND": admin,
                "GATEWAY_ADMIN_TOKEN": TOKEN,
                "GATEWAY_STORE_URL": store_url,
                "GATEWAY_PORT": str(first_port),  # of the document that both have before they are sent one
                "GATEWAY_DRAIN_SECONDS": "0.2",
            },
            ready=f"http://{admin}/health/ready",
        )
        self.client = httpx.AsyncClient(
            base_url=f"http://{admin}/api/v1", headers={"authorization": f"Bearer {TOKEN}"}, timeout=20, trust_env=False
        )

    async def put(self, document: str, **headers: str) -> httpx.Response:
        """Send a document to this replica."""
        return await self.client.put(
            "/document", content=document, headers={"content-type": "application/yaml", **headers}
        )

    async def serves(self, path: str) -> bool:
        """Whether its Envoy has the route."""
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                response = await client.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)
            except httpx.TransportError:
                return False
        return response.status_code == 200

    async def revisions(self) -> list[tuple[int, str]]:
        """The history as this replica tells it."""
        page = (await self.client.get("/revisions")).raise_for_status().json()
        return [(one["number"], one["digest"]) for one in page["items"]]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """One server."""
    with running_postgres() as server:
        yield server


@asynccontextmanager
async def replicas(postgres: Postgres, name: str) -> AsyncIterator[tuple[Replica, Replica, int]]:
    """Two replicas with an Envoy each, and the port of a backend."""
    url = postgres.make_database(name)
    with ExitStack() as stack:
        folder = stack.enter_context(short_folder())
        backend = stack.enter_context(running_echo()).port
        first_port = free_port()
        both = tuple(Replica(folder / name, url, first_port) for name in "ab")
        for replica in both:
            stack.callback(replica.part.stop)
            replica.part.start()
        for number, replica in enumerate(both):
            await asyncio.to_thread(replica.part.until_ready)
            home = folder / f"envoy{number}"
            home.mkdir()
            settings = envoy_settings(home, xds_address=replica.xds, node_id=f"envoy-{number}")
            stack.enter_context(running_envoy(bytes(build_bootstrap(settings)), settings, folder=home))
        try:
            yield both[0], both[1], backend
        finally:
            for replica in both:
                await replica.client.aclose()


def document(one: Replica, two: Replica, backend: int, path: str) -> str:
    """Both Envoys serve ``path``, each on its own port."""
    return f"""
listeners:
- {{name: one, port: {one.port}}}
- {{name: two, port: {two.port}}}
node_groups:
- {{name: one, nodes: {{ids: [envoy-0]}}, listeners: [one]}}
- {{name: two, nodes: {{ids: [envoy-1]}}, listeners: [two]}}
upstreams: [{{name: echo, endpoints: ["http://127.0.0.1:{backend}"]}}]
routes: [{{match: {{path: {path}}}, upstream: echo}}]
"""


async def until_served(replica: Replica, path: str, *, seconds: float) -> float:
    """Wait until the replica's Envoy has a route; how long it took."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while not await replica.serves(path):
        assert loop.time() - begun < seconds, f"{path} is not served within {seconds} s"
    return loop.time() - begun


async def test_a_change_through_one_reaches_the_nodes_of_all(postgres: Postgres) -> None:
    """Within a second, in either direction; both tell the same history."""
    async with replicas(postgres, "reach") as (one, two, backend):
        (await one.put(document(one, two, backend, "/first"))).raise_for_status()
        await until_served(two, "/first", seconds=STARTED_WITHIN)  # its Envoy opens its first listener
        for number in range(3):
            writer, reader = (one, two) if number % 2 else (two, one)
            (await writer.put(document(one, two, backend, f"/{number}"))).raise_for_status()
            await until_served(reader, f"/{number}", seconds=WITHIN)
        assert await one.revisions() == await two.revisions()
        assert [number for number, _ in await one.revisions()] == [5, 4, 3, 2, 1]


async def test_of_two_who_change_the_same_state_one_wins(postgres: Postgres) -> None:
    """Also when they ask different replicas: the history has no fork."""
    async with replicas(postgres, "race") as (one, two, backend):
        (await one.put(document(one, two, backend, "/first"))).raise_for_status()
        await until_served(two, "/first", seconds=STARTED_WITHIN)
        for number in range(5):
            tag = (await one.client.get("/document")).raise_for_status().headers["etag"]
            answers = await asyncio.gather(
                one.put(document(one, two, backend, f"/{number}a"), **{"if-match": tag}),
                two.put(document(one, two, backend, f"/{number}b"), **{"if-match": tag}),
            )
            statuses = [answer.status_code for answer in answers]
            assert sorted(statuses)[0] == 200, statuses
            assert sorted(statuses)[1] in (409, 412), statuses
            won = f"/{number}{'ab'[statuses.index(200)]}"
            await until_served(one, won, seconds=5)
            await until_served(two, won, seconds=5)
        assert await one.revisions() == await two.revisions()


async def test_any_of_them_may_die(postgres: Postgres) -> None:
    """What the dead one was told is live at the other; when it is back, it knows what it missed."""
    async with replicas(postgres, "death") as (one, two, backend):
        (await one.put(document(one, two, backend, "/first"))).raise_for_status()
        for replica in (one, two):
            await until_served(replica, "/first", seconds=STARTED_WITHIN)
        (await one.put(document(one, two, backend, "/told"))).raise_for_status()
        one.part.kill()
        await until_served(two, "/told", seconds=STARTED_WITHIN)
        assert await one.serves("/told") or await one.serves("/first"), "an Envoy goes on without its control plane"
        (await two.put(document(one, two, backend, "/second"))).raise_for_status()
        await until_served(two, "/second", seconds=5)
        one.part.start()
        await asyncio.to_thread(one.part.until_ready)
        await until_served(one, "/second", seconds=20)
        assert await one.revisions() == await two.revisions()


async def test_without_the_database_what_is_live_stays_live(postgres: Postgres) -> None:
    """Writes are refused until it is back; then both go on, without a restart."""
    async with replicas(postgres, "outage") as (one, two, backend):
        (await one.put(document(one, two, backend, "/first"))).raise_for_status()
        await until_served(two, "/first", seconds=STARTED_WITHIN)
        postgres.kill()
        try:
            refused = await one.put(document(one, two, backend, "/lost"))
            assert refused.status_code == 503, refused.text
            assert await one.serves("/first")
            assert await two.serves("/first")
        finally:
            await asyncio.to_thread(postgres.start)

        async def taken() -> bool:
            return (await one.put(document(one, two, backend, "/second"))).status_code == 200

        async with asyncio.timeout(30):
            while not await taken():
                pass
        await until_served(two, "/second", seconds=15)
