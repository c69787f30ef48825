"""Purges: by route and by path, at every cache, from a control plane by way of a real Valkey."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

import httpx
import pytest
from pydantic import SecretStr

from controlplane.purges import PurgeStore
from controlplane.translate import translate_release
from response_cache.purge_feed import PurgeFeed
from servicekit.contracts.purge import PURGES_KEY, Purge
from servicekit.redis_client import redis_client
from tests.harness.command import ControlPlane, control_plane
from tests.harness.echo import Echo, running_echo
from tests.harness.envoy import envoy_settings, running_envoy, short_folder, static_bootstrap
from tests.harness.guarded_edge import gateway_of
from tests.harness.ports import free_port
from tests.harness.processes import wait_for
from tests.harness.response_cache_process import ResponseCacheProcess, response_cache_process
from tests.harness.valkey import Valkey, running_valkey

pytestmark = pytest.mark.xdist_group("cache_purges")

DOCUMENT = """\
listeners: [{{name: http, port: {port}}}]
upstreams: [{{name: echo, endpoints: ["http://127.0.0.1:{backend}"]}}]
routes:
  - {{name: shop, match: {{path_prefix: /shop}}, upstream: echo, cache: true}}
  - {{match: {{path_prefix: /plain}}, upstream: echo}}
  - {{match: {{path_prefix: /}}, upstream: echo, cache: true}}
"""
PATHS = ("/shop/a", "/shop/a?b=c", "/shop/a/b", "/shop/ab", "/b")


@dataclass(frozen=True, slots=True)
class Edge:
    """One Envoy and its cache."""

    client: httpx.Client
    cache: ResponseCacheProcess

    def was_kept(self, path: str) -> bool:
        """Whether it was; it is now."""
        return "; hit" in self.client.get(path).headers["cache-status"]

    def kept(self) -> set[str]:
        """Which of the paths were."""
        return {path for path in PATHS if self.was_kept(path)}

    def until_forgotten(self, path: str) -> None:
        """Ask until it was not."""
        wait_for(lambda: None if self.was_kept(path) else True, seconds=10, what=f"{path} is forgotten")

    def hears(self) -> None:
        """Wait until it asks for purges with success."""
        wait_for(lambda: self.cache.metric("gateway_cache_purges_age_seconds") < 1 or None, seconds=10, what="it hears")


@contextmanager
def running_edge(document: str, redis_url: str) -> Iterator[Edge]:
    """What ``document`` becomes, without a control plane."""
    gateway = gateway_of(document)
    snapshot = translate_release(gateway).groups["edge"]
    with short_folder() as folder:
        settings = envoy_settings(folder)
        with (
            response_cache_process(folder, GATEWAY_REDIS_URL=redis_url) as cache,
            running_envoy(static_bootstrap(snapshot, settings), settings, folder=folder),
            httpx.Client(base_url=f"http://127.0.0.1:{gateway.listeners[0].port}", timeout=10) as client,
        ):
            edge = Edge(client, cache)
            edge.hears()
            yield edge


@dataclass(frozen=True, slots=True)
class Gateway:
    """A control plane, and two edges that share its Redis."""

    plane: ControlPlane
    edges: list[Edge]
    valkey: Valkey
    echo: Echo


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One of everything, two of what obeys."""
    folder = tmp_path_factory.mktemp("plane")
    with running_valkey() as server, running_echo() as echo, ExitStack() as stack:
        echo.extra = {"cache-control": "max-age=600"}
        documents = [DOCUMENT.format(port=free_port(), backend=echo.port) for _ in range(2)]
        edges = [stack.enter_context(running_edge(document, server.url)) for document in documents]
        (folder / "gateway.yaml").write_text(documents[0])
        told = {"GATEWAY_DOCUMENT": str(folder / "gateway.yaml"), "GATEWAY_REDIS_URL": server.url}
        yield Gateway(stack.enter_context(control_plane(folder, **told)), edges, server, echo)


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        (("--route", "shop"), {"/shop/a", "/shop/a?b=c", "/shop/a/b", "/shop/ab"}),
        (("--path-prefix", "/shop/a/"), {"/shop/a", "/shop/a?b=c", "/shop/a/b"}),
        (("--path-prefix", "/"), set(PATHS)),
    ],
)
def test_purges_at_every_edge(gateway: Gateway, words: tuple[str, str], gone: set[str]) -> None:
    """What is meant is forgotten everywhere, and nothing else is."""
    for edge in gateway.edges:
        edge.kept()
        assert edge.kept() == set(PATHS)
    made = gateway.plane.json("cache", "purge", *words)
    assert made["id"]
    began = time.monotonic()
    for edge in gateway.edges:
        edge.until_forgotten("/shop/a")
        assert edge.kept() == set(PATHS) - gone | {"/shop/a"}
    print(f"forgotten at both edges in {time.monotonic() - began:.2f} s")
    entries = gateway.plane.json("audit", "log")["items"]
    assert any(entry["action"] == "cache.purge" and made["id"] in str(entry) for entry in entries)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--route", "nobody"), "no route of this name"),
        (("--route", "/plain"), "no route of this name"),
        (("--path-prefix", "shop"), "/path_prefix"),
        (("--path-prefix", "/a?b"), "/path_prefix"),
        ((), "either --route or --path-prefix"),
        (("--route", "shop", "--path-prefix", "/"), "either --route or --path-prefix"),
    ],
)
def test_purges_that_mean_nothing(gateway: Gateway, words: tuple[str, ...], reason: str) -> None:
    """A purge that nobody would obey is refused, in words."""
    done = gateway.plane.run("cache", "purge", *words)
    assert done.code != 0
    assert reason in " ".join(done.err.replace("│", " ").split())


def test_answers_on_their_way(gateway: Gateway) -> None:
    """What was asked for before a purge is not kept when it comes after it; of those who waited, one asks anew."""
    edge, url = gateway.edges[0], "/shop/slow"
    gateway.echo.hold.clear()
    try:
        with _in_background(edge.client, url, requests=4) as answers:
            wait_for(
                lambda: edge.cache.metric("gateway_cache_waiting") >= 3 or None, seconds=10, what="they are waiting"
            )
            made = gateway.plane.json("cache", "purge", "--route", "shop")
            wait_for(lambda: made["id"] in edge.cache.log.read_text() or None, seconds=10, what="it is obeyed")
            gateway.echo.hold.set()
            assert [answer().status_code for answer in answers] == 4 * [200]
    finally:
        gateway.echo.hold.set()
    assert sum(request["path"] == url for request in gateway.echo.requests) == 2
    assert edge.was_kept(url)


@contextmanager
def _in_background(client: httpx.Client, path: str, requests: int) -> Iterator[list[Callable[[], httpx.Response]]]:
    with ThreadPoolExecutor(requests) as threads:
        yield [threads.submit(client.get, path).result for _ in range(requests)]


def test_without_redis(gateway: Gateway) -> None:
    """Caches go on; a purge is refused; and when Redis is back with nothing in it, everything is forgotten."""
    edge = gateway.edges[0]
    edge.kept()
    gateway.valkey.kill()
    try:
        assert edge.kept() == set(PATHS)
        refused = gateway.plane.run("cache", "purge", "--route", "shop")
        assert (refused.code, "does not answer" in refused.err) == (1, True)
        assert edge.kept() == set(PATHS)
    finally:
        gateway.valkey.start()
    edge.until_forgotten("/b")
    edge.hears()
    gateway.plane.json("cache", "purge", "--route", "shop")
    edge.until_forgotten("/shop/a")


@pytest.fixture(scope="module")
def _shared_valkey() -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


@pytest.fixture
def valkey(_shared_valkey: Valkey) -> Valkey:
    """An empty one."""
    _shared_valkey.command("FLUSHALL")
    return _shared_valkey


@asynccontextmanager
async def both_sides(server: Valkey) -> AsyncIterator[tuple[PurgeStore, PurgeFeed, list[str]]]:
    """Who purges, who hears of it, and what was heard, ``*`` for everything."""
    heard: list[str] = []

    def forget(purge: Purge | None) -> int:
        heard.append("*" if purge is None else purge.id)
        return 0

    store = PurgeStore(redis_client(SecretStr(server.url), deadline=1))
    feed = PurgeFeed(client=redis_client(SecretStr(server.url), deadline=1), forget=forget, clock=time.monotonic)
    try:
        yield store, feed, heard
    finally:
        await store.aclose()
        await feed.aclose()


async def purge(store: PurgeStore, *ids: str) -> None:
    """Some purges."""
    for one in ids:
        await store.add(Purge(id=one, route="r"))


async def test_each_purge_is_heard_of_once(valkey: Valkey) -> None:
    """What was there before is not known, so all is forgotten first."""
    async with both_sides(valkey) as (store, feed, heard):
        await purge(store, "a", "b")
        await feed.catch_up()
        assert heard == ["*"]
        for _ in range(2):
            await feed.catch_up()
        await purge(store, "c", "d")
        for _ in range(2):
            await feed.catch_up()
        assert heard == ["*", "c", "d"]


async def test_the_first_purge_of_all(valkey: Valkey) -> None:
    """It is heard of, although there was none before it."""
    async with both_sides(valkey) as (store, feed, heard):
        await feed.catch_up()
        await purge(store, "a")
        await feed.catch_up()
        assert heard == ["*", "a"]


@pytest.mark.parametrize("lost", ["FLUSHALL", "purges after it"])
async def test_history_that_is_not_what_it_was(valkey: Valkey, lost: str) -> None:
    """After a flush or a failover, everything is forgotten once."""
    async with both_sides(valkey) as (store, feed, heard):
        await purge(store, "a")
        await feed.catch_up()
        await purge(store, "b")
        await feed.catch_up()
        if lost == "FLUSHALL":
            valkey.command("FLUSHALL")
            await purge(store, "c", "d")
        else:
            valkey.command("ZREMRANGEBYRANK", PURGES_KEY, -1, -1)
        for _ in range(2):
            await feed.catch_up()
        assert heard == ["*", "b", "*"]
        await purge(store, "e")
        await feed.catch_up()
        assert heard[-1] == "e"


async def test_more_than_is_remembered(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has missed some forgets everything, and the log does not grow."""
    monkeypatch.setattr("controlplane.purges.MOST_PURGES", 3)
    async with both_sides(valkey) as (store, feed, heard):
        await purge(store, "a")
        await feed.catch_up()
        await purge(store, "b", "c", "d", "e")
        await feed.catch_up()
        assert heard == ["*", "*"]
        assert valkey.command("ZCARD", PURGES_KEY) == 3


async def test_a_purge_that_cannot_be_read(valkey: Valkey) -> None:
    """It may mean anything, so it means everything; the next one counts for itself."""
    async with both_sides(valkey) as (store, feed, heard):
        await feed.catch_up()
        valkey.command("ZADD", PURGES_KEY, 0, '{"id": "a", "of_tomorrow": 1}')
        await purge(store, "b")
        await feed.catch_up()
        assert heard == ["*", "*", "b"]


async def test_two_who_purge_at_once(valkey: Valkey) -> None:
    """Each is heard of."""
    async with both_sides(valkey) as (store, feed, heard):
        await feed.catch_up()
        await asyncio.gather(*(purge(store, f"{one}-{two}") for one in range(5) for two in range(5)))
        await feed.catch_up()
        assert len(set(heard)) == 26
