"""Redis in every kind of trouble: what decisions took, who decided, and how it came back. Prints its figures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from ratelimit_service import redis_lane
from ratelimit_service.metrics import Metrics
from ratelimit_service.redis_store import RedisStore
from ratelimit_service.store import StoreError
from servicekit.buckets.bucket import shape
from servicekit.buckets.takes import Take
from servicekit.contracts import Limit
from tests.harness.proxy import DelayingProxy
from tests.harness.sentinels import running_sentinels
from tests.harness.valkey import Valkey, running_valkey
from tests.integration.ratelimit.rig import Crowd, limiter_on, policy_of, running_store, until

DEADLINE = 0.008
LONGEST = 0.03
"""Seconds that no decision may take, but for what the event loop was late. The promise is 10 ms; twice that is room
for the pauses of a busy machine that the loop does not see."""

LOCAL = Limit(name="local", by="user", requests=50, period_seconds=1, burst=10, on_store_failure="local")
ALLOW = Limit(name="allow", by="user", requests=1, period_seconds=3600, burst=1, on_store_failure="allow")
DENY = Limit(name="deny", by="user", requests=10**6, period_seconds=1, burst=10**6, on_store_failure="deny")
CALLERS = 8


@asynccontextmanager
async def crowd_on(url: str) -> AsyncIterator[tuple[Crowd, RedisStore]]:
    """Callers under the three kinds of limit."""
    async with running_store(url, deadline=DEADLINE) as store:
        crowd = Crowd(limiter_on(store, policy_of(LOCAL, ALLOW, DENY)), ("local", "allow", "deny"), callers=CALLERS)
        async with crowd.asking():
            await until(lambda: crowd.count(limit="local", source="store") > 100)
            yield crowd, store


async def trouble(crowd: Crowd, store: RedisStore, begin: Callable[[], object], end: Callable[[], object]) -> None:
    """Let the store fail and come back, and hold the decisions meanwhile to what was promised."""
    loop = asyncio.get_running_loop()
    crowd.begin_anew()
    began = loop.time()
    await asyncio.to_thread(begin)
    noticed = await until(lambda: not store.available)
    for _ in range(400):
        await asyncio.sleep(0.001)
        assert not store.available, "it came back too early"
    assert crowd.count(limit="local", source="fallback")
    assert crowd.count(limit="allow", source="fallback", allowed=False) == 0
    assert crowd.count(limit="deny", source="fallback", allowed=True) == 0
    beyond = crowd.count(limit="local", allowed=True) - CALLERS * 50 * (loop.time() - began)
    slowest, lag = crowd.slowest, crowd.lag
    await asyncio.to_thread(end)
    back = await until(lambda: store.available, 5)
    crowd.begin_anew()
    await asyncio.sleep(0.2)
    print(
        f"slowest decision {slowest * 1e3:.1f} ms (event loop at worst {lag * 1e3:.1f} ms late), noticed after "
        f"{noticed * 1e3:.0f} ms, {beyond:.0f} allowed beyond the limit, "
        f"back after {back * 1e3:.0f} ms"
    )
    assert slowest < LONGEST + lag
    assert beyond <= CALLERS * (10 + 3)  # a local bucket's burst each, and what the shared one had at the beginning
    assert not crowd.count(limit="deny", allowed=False, source="store")
    assert crowd.count(limit="local", source="store") + crowd.count(limit="local", source="cache")


async def test_killed(own_valkey: Valkey) -> None:
    """``kill -9``, and a new empty server in its place."""
    async with crowd_on(own_valkey.url) as (crowd, store):
        await trouble(crowd, store, own_valkey.kill, own_valkey.start)


async def test_paused(own_valkey: Valkey) -> None:
    """SIGSTOP: connections stay open and nothing answers."""
    async with crowd_on(own_valkey.url) as (crowd, store):
        await trouble(crowd, store, own_valkey.pause, own_valkey.resume)


async def test_read_only(own_valkey: Valkey) -> None:
    """The server became a replica: reads work, writes are refused, and the connection has to be given up."""
    async with crowd_on(own_valkey.url) as (crowd, store):
        await trouble(
            crowd,
            store,
            lambda: own_valkey.command("REPLICAOF", "127.0.0.1", "1"),
            lambda: own_valkey.command("REPLICAOF", "NO", "ONE"),
        )


async def test_an_error_is_told_at_once(own_valkey: Valkey) -> None:
    """Nobody waits for the deadline when Redis has refused."""
    async with running_store(own_valkey.url, deadline=5) as store:
        own_valkey.command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StoreError, match="read_only"):
            await asyncio.wait_for(store.take([Take(b"a", shape(requests=1, period_us=10**6, burst=1), 1)]), 2)


async def test_a_death_is_noticed_without_traffic(own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle connection is tried now and then, so that the first request after a quiet time need not find out."""
    monkeypatch.setattr(redis_lane, "IDLE_SECONDS", 0.05)
    async with running_store(own_valkey.url) as store:
        await asyncio.sleep(0.2)
        assert store.available
        own_valkey.kill()
        await until(lambda: not store.available)


async def test_out_of_memory(own_valkey: Valkey) -> None:
    """Writes are refused until there is room again."""
    async with crowd_on(own_valkey.url) as (crowd, store):
        await trouble(
            crowd,
            store,
            lambda: own_valkey.command("CONFIG", "SET", "maxmemory", "1"),
            lambda: own_valkey.command("CONFIG", "SET", "maxmemory", "0"),
        )


async def test_slow(own_valkey: Valkey) -> None:
    """Every answer takes 200 ms: too slow to be used, and not used until it is quick again."""
    proxy = DelayingProxy(listen=own_valkey.folder / "p", target=own_valkey.socket)
    async with proxy.running(), crowd_on(f"unix://{own_valkey.folder / 'p'}") as (crowd, store):
        await trouble(crowd, store, lambda: setattr(proxy, "delay", 0.2), lambda: setattr(proxy, "delay", 0.0))


async def test_late_answers_now_and_then_do_not_cost_the_connection(own_valkey: Valkey) -> None:
    """Redis is busy for 30 ms, five times: decided here meanwhile, then over the same connection as before."""
    proxy = DelayingProxy(listen=own_valkey.folder / "p", target=own_valkey.socket)
    async with proxy.running(), crowd_on(f"unix://{own_valkey.folder / 'p'}") as (crowd, store):
        for _ in range(5):
            accepted = proxy.accepted
            crowd.begin_anew()
            proxy.delay = 0.03
            await until(lambda: not store.available)
            proxy.delay = 0.0
            await until(lambda: store.available)
            assert crowd.count(limit="local", source="fallback")
            assert crowd.slowest < LONGEST + crowd.lag
            await until(lambda: crowd.count(limit="deny", source="store") > 20)
        assert proxy.accepted == accepted == 1


async def test_answers_that_are_always_a_little_late_are_given_up(own_valkey: Valkey) -> None:
    """25 ms each, within the patience for a single one: after a few, Redis is left alone until it is quick again."""
    proxy = DelayingProxy(listen=own_valkey.folder / "p", target=own_valkey.socket)
    async with proxy.running(), crowd_on(f"unix://{own_valkey.folder / 'p'}") as (_crowd, store):
        proxy.delay = 0.025
        await asyncio.sleep(0.5)
        for _ in range(300):
            await asyncio.sleep(0.001)
            assert not store.available
        proxy.delay = 0.0
        await until(lambda: store.available, 5)


@pytest.fixture
def replica(own_valkey: Valkey) -> Iterator[Valkey]:
    """A second server that follows the first."""
    with running_valkey() as follower:
        # a Unix socket can't be followed: the first one listens on a TCP port as well from now on
        port = own_valkey.listen()
        follower.listen()  # before it follows: it tells where it can be reached
        follower.command("REPLICAOF", "127.0.0.1", port)
        assert own_valkey.command("WAIT", 1, 5000) == 1
        yield follower


async def test_failed_over_to_a_replica(own_valkey: Valkey, replica: Valkey) -> None:
    """The name leads to the replica after the first server died; what callers had taken stays taken."""
    name = own_valkey.folder / "name"
    name.symlink_to(own_valkey.socket)
    async with crowd_on(f"unix://{name}") as (crowd, store):

        def promote() -> None:
            replica.command("REPLICAOF", "NO", "ONE")
            name.unlink()
            name.symlink_to(replica.socket)

        await trouble(crowd, store, own_valkey.kill, promote)
        allowed = crowd.count(limit="allow", allowed=True, source="store")
        print(f"{allowed} callers got a token twice")
        assert allowed == 0


async def test_sentinels_promote_a_replica(own_valkey: Valkey, replica: Valkey) -> None:
    """They are asked anew for each connection, those that answer; what callers had taken stays taken."""
    with running_sentinels(own_valkey.port) as sentinels:
        sentinels.kill(0)
        async with crowd_on(sentinels.url) as (crowd, store):
            assert own_valkey.command("WAIT", 1, 5000) == 1
            crowd.begin_anew()
            own_valkey.kill()
            await until(lambda: not store.available)
            back = await until(lambda: store.available, 40)
            print(f"slowest decision {crowd.slowest * 1e3:.1f} ms, back after {back:.1f} s")
            assert crowd.slowest < LONGEST + crowd.lag
            assert crowd.count(limit="local", source="fallback")
            assert crowd.count(limit="allow", allowed=True, source="store") == 0
            assert replica.command("ROLE")[0] == b"master"


async def test_script_cache_lost(own_valkey: Valkey) -> None:
    """``SCRIPT FLUSH`` under load: nobody notices, decisions stay with the store."""
    async with crowd_on(own_valkey.url) as (crowd, store):
        crowd.begin_anew()
        for _ in range(10):
            await asyncio.to_thread(own_valkey.command, "SCRIPT", "FLUSH")
            await asyncio.sleep(0.02)
        print(f"slowest decision {crowd.slowest * 1e3:.1f} ms (event loop at worst {crowd.lag * 1e3:.1f} ms late)")
        await until(lambda: store.available)
        # losing the connection each time would leave most to the fallback; a busy machine leaves it a few
        assert crowd.count(limit="local", source="fallback") < 0.2 * crowd.count(limit="local")
        assert crowd.slowest < LONGEST + crowd.lag


async def test_flushed(own_valkey: Valkey) -> None:
    """``FLUSHALL`` makes every bucket full once: a burst more for each caller, nothing else."""
    async with crowd_on(own_valkey.url) as (crowd, _store):
        crowd.begin_anew()
        await asyncio.to_thread(own_valkey.command, "FLUSHALL")
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(0.3)
        allowed = crowd.count(limit="local", allowed=True)
        most = CALLERS * (2 * 10 + 50 * (asyncio.get_running_loop().time() - began + 0.1))
        print(f"{allowed} allowed, at most {most:.0f}")
        assert allowed <= most
        assert crowd.count(limit="allow", allowed=True, source="store") <= CALLERS


async def test_it_starts_without_redis_and_finds_it_later() -> None:
    """Decisions are made here until there is a server; then they are counted there."""
    server = Valkey()
    try:
        async with asyncio.TaskGroup() as group:
            store = RedisStore(url=server.url, metrics=Metrics(CollectorRegistry()), deadline=DEADLINE)
            running = group.create_task(store.run())
            crowd = Crowd(limiter_on(store, policy_of(LOCAL)), ("local",))
            async with crowd.asking():
                await asyncio.sleep(0.2)
                assert crowd.count(limit="local", source="fallback")
                await asyncio.to_thread(server.start)
                await until(lambda: store.available, 5)
                await until(lambda: crowd.count(limit="local", source="store") > 0)
            running.cancel()
    finally:
        server.close()
