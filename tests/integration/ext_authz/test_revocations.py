"""Revocations from whoever makes them to every ext_authz, over a Valkey that may go away, be flushed or fail over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from controlplane.revocations import RevocationStore, RevocationStoreError, TooManyRevocationsError
from ext_authz import revocation_feed
from ext_authz.revocation_feed import RevocationFeed
from ext_authz.revocations import RevocationList, revocable
from servicekit.contracts.revocation import CHANGES_KEY, Revocation
from servicekit.redis_client import redis_client
from tests.harness.command import ControlPlane, control_plane
from tests.harness.echo import running_echo
from tests.harness.envoy import short_folder
from tests.harness.ext_authz_process import ExtAuthzProcess
from tests.harness.guarded_edge import gateway_of, guarded_edge
from tests.harness.jose import jwks, signing_key
from tests.harness.ports import free_port
from tests.harness.processes import wait_for
from tests.harness.tokens import claims
from tests.harness.valkey import Valkey, running_valkey
from tests.harness.xds import eventually

pytestmark = [pytest.mark.timeout(90), pytest.mark.xdist_group("revocations")]

KEY = signing_key("ES256", "one")


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
async def store_on(server: Valkey) -> AsyncIterator[RevocationStore]:
    """The control plane's side."""
    store = RevocationStore(redis_client(SecretStr(server.url), deadline=1))
    try:
        yield store
    finally:
        await store.aclose()


class Replica:
    """One ext_authz's side."""

    def __init__(self, feed: RevocationFeed, known: RevocationList) -> None:
        self.feed = feed
        self.known = known

    def refuses(self, user: str) -> bool:
        """Whether every token of this user is refused."""
        return self.known.refuses(revocable("platform", {"sub": user}, unknown_passes=False), time.time())

    async def until(self, user: str, *, refused: bool = True) -> None:
        """Wait for it."""
        await eventually(lambda: self.refuses(user) is refused, f"{user} refused: {refused}")


@asynccontextmanager
async def replica_on(server: Valkey) -> AsyncIterator[Replica]:
    """A list that is kept as in the service."""
    known = RevocationList()
    client = redis_client(SecretStr(server.url), deadline=revocation_feed.DEADLINE)
    feed = RevocationFeed(client=client, revocations=known, clock=time.monotonic, wall=time.time)
    running = asyncio.create_task(feed.run())
    try:
        yield Replica(feed, known)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await feed.aclose()


def of_user(user: str, **changes: Any) -> Revocation:
    """Of all that this user has, for an hour."""
    members: dict[str, Any] = {"id": f"id-{user}", "provider": "platform", "kind": "sub", "value": user}
    now = time.time()
    times = {"issued_before": now, "ends_at": now + 3600, "created_at": now, "created_by": "test"}
    return Revocation(**(members | times | changes))


async def add(store: RevocationStore, *users: str, **changes: Any) -> None:
    """Revoke all that these users have."""
    for user in users:
        await store.add(of_user(user, **changes), now=time.time())


async def test_made_listed_and_withdrawn(valkey: Valkey) -> None:
    """Every replica follows, and one that comes later knows the whole list."""
    async with store_on(valkey) as store, replica_on(valkey) as one, replica_on(valkey) as two:
        await add(store, "alice", "bob")
        await one.until("bob")
        await two.until("bob")
        assert one.refuses("alice")
        assert [entry.revocation.value for entry in await store.page(before=None, limit=1)] == ["bob"]
        alice = await store.find("id-alice")
        assert alice is not None
        assert await store.withdraw(alice, now=time.time())
        await one.until("alice", refused=False)
        await two.until("alice", refused=False)
        newest, older = await store.page(before=None, limit=10)
        assert newest.revocation.withdrawn_at is not None
        assert older.revocation.value == "bob"
        assert [entry.number for entry in await store.page(before=newest.number, limit=10)] == [older.number]
        async with replica_on(valkey) as late:
            await late.until("bob")
            assert not late.refuses("alice")


async def test_a_long_list_is_read_in_pages(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is forgotten between two of them."""
    monkeypatch.setattr(revocation_feed, "PAGE", 3)
    users = [f"user-{number}" for number in range(10)]
    async with store_on(valkey) as store, replica_on(valkey) as replica:
        await add(store, *users[:7])
        await replica.until("user-6")
        await add(store, *users[7:])
        await replica.until("user-9")
        assert all(replica.refuses(user) for user in users)
        async with replica_on(valkey) as late:
            await late.until("user-9")
            assert all(late.refuses(user) for user in users)


async def test_a_flush_takes_nothing_back(valkey: Valkey) -> None:
    """What is known stays in force, and what is made afterwards comes as before, though its numbers begin anew."""
    async with store_on(valkey) as store, replica_on(valkey) as replica:
        await add(store, "alice", "bob")
        await replica.until("bob")
        valkey.command("FLUSHALL")
        await add(store, "carol", "dave")
        await replica.until("dave")
        assert all(replica.refuses(user) for user in ("alice", "bob", "carol"))


async def test_an_entry_that_was_lost_at_the_cursor_hides_nothing(valkey: Valkey) -> None:
    """As after a failover that lost the last write: another change has its number now."""
    async with store_on(valkey) as store, replica_on(valkey) as replica:
        await add(store, "alice", "bob")
        await replica.until("bob")
        valkey.command("ZREM", CHANGES_KEY, "id-bob")
        valkey.command("SET", "{gateway:revocations}:counter", 1)
        await add(store, "carol")
        await replica.until("carol")
        assert replica.refuses("bob")


async def test_while_redis_is_away() -> None:
    """The list counts on, its age grows, and it catches up by itself; nothing can be revoked meanwhile."""
    with running_valkey() as own:
        async with store_on(own) as store, replica_on(own) as replica:
            await add(store, "alice")
            await replica.until("alice")
            own.pause()
            await eventually(lambda: replica.feed.failures > 0, "a failure")
            assert replica.refuses("alice")
            assert (replica.feed.age or 0) > 0.2
            with pytest.raises(RevocationStoreError):
                await add(store, "bob")
            own.resume()
            await add(store, "carol")
            await replica.until("carol")
            own.kill()
            failures = replica.feed.failures
            await eventually(lambda: replica.feed.failures > failures, "another failure")
            own.start()
            await add(store, "dave")
            await replica.until("dave")
            assert replica.refuses("alice")


async def test_a_replica_that_never_reached_redis_says_so() -> None:
    """It is not taken for one that knows of no revocation."""
    with running_valkey() as own:
        own.kill()
        async with replica_on(own) as replica:
            await eventually(lambda: replica.feed.failures > 0, "a failure")
            assert not replica.known.loaded
            assert replica.feed.age is None
            own.start()
            await eventually(lambda: replica.known.loaded, "the list was read")


async def test_the_list_is_bounded_and_what_has_ended_makes_room(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full list refuses more, until something in it is past its end."""
    monkeypatch.setattr("controlplane.revocations.MOST_REVOCATIONS", 2)
    async with store_on(valkey) as store:
        await add(store, "alice", "bob")
        with pytest.raises(TooManyRevocationsError):
            await add(store, "carol")
        later = time.time() + 3700
        await store.add(of_user("carol", ends_at=later + 3600), now=later)
        assert [entry.revocation.value for entry in await store.page(before=None, limit=10)] == ["carol"]


DOCUMENT = """\
listeners: [{{name: http, port: {port}}}]
upstreams: [{{name: echo, endpoints: ["http://127.0.0.1:{backend}"]}}]
authentication:
  platform:
    jwt:
      issuer: https://id.example.com
      audiences: [resumes]
      jwks: {jwks}
      algorithms: [ES256]
      revocation: {{}}
routes:
  - {{match: {{path_prefix: /}}, upstream: echo, authenticate: [platform]}}
"""


def bearer(**changes: Any) -> dict[str, str]:
    """A token that was made a minute ago and lives for long."""
    now = int(time.time())
    return {"authorization": f"Bearer {KEY.token(claims(**({'exp': now + 3600, 'iat': now - 60} | changes)))}"}


@dataclass
class Edge:
    """One Envoy and the ext_authz of its own."""

    client: httpx.Client
    authz: ExtAuthzProcess

    def until(self, headers: dict[str, str], status: int) -> httpx.Response:
        """Ask until the answer has this status."""

        def asked() -> httpx.Response | None:
            answer = self.client.get("/", headers=headers)
            return answer if answer.status_code == status else None

        return wait_for(asked, seconds=5, what=f"the answer is {status}")


@contextmanager
def running_edge(document: str, redis_url: str) -> Iterator[Edge]:
    """What ``document`` becomes, without a control plane."""
    with (
        short_folder() as folder,
        guarded_edge(gateway_of(document), folder, GATEWAY_REDIS_URL=redis_url) as (client, authz),
    ):
        yield Edge(client, authz)


@dataclass
class Gateway:
    """A control plane, and two edges that share its Redis."""

    plane: ControlPlane
    edges: list[Edge]
    valkey: Valkey
    backend: int


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One of everything, two of what obeys."""
    folder = tmp_path_factory.mktemp("plane")
    keys = jwks(KEY.jwk()).decode()
    with running_valkey() as server, running_echo() as echo, ExitStack() as stack:
        documents = [DOCUMENT.format(port=free_port(), backend=echo.port, jwks=keys) for _ in range(2)]
        edges = [stack.enter_context(running_edge(document, server.url)) for document in documents]
        (folder / "gateway.yaml").write_text(documents[0])
        told = {"GATEWAY_DOCUMENT": str(folder / "gateway.yaml"), "GATEWAY_REDIS_URL": server.url}
        yield Gateway(stack.enter_context(control_plane(folder, **told)), edges, server, echo.port)


def test_revoked_at_every_edge_and_taken_back(gateway: Gateway) -> None:
    """Tokens that both have accepted are refused by both, and accepted again once it is taken back."""
    alice, fresh, bob = bearer(), bearer(iat=int(time.time()) + 20), bearer(sub="bob")
    for edge in gateway.edges:
        assert edge.until(alice, 200).json()["headers"]["authorization"] == alice["authorization"]
    made = gateway.plane.json("revocations", "add", "platform", "--sub", "alice", "--lasts", "2h", "--reason", "left")
    for edge in gateway.edges:
        refused = edge.until(alice, 401)
        assert refused.json()["type"] == "urn:gateway:problem:invalid_token"
        assert 'error_description="the token was revoked"' in refused.headers["www-authenticate"]
        assert edge.client.get("/", headers=fresh).status_code == 200
        assert edge.client.get("/", headers=bob).status_code == 200
    (listed,) = gateway.plane.json("revocations", "list")["items"]
    assert (listed["id"], listed["value"], listed["reason"]) == (made["id"], "alice", "left")
    assert gateway.plane.run("revocations", "remove", made["id"]).out == f"{made['id']}: taken back\n"
    for edge in gateway.edges:
        edge.until(alice, 200)
    actions = {entry["action"] for entry in gateway.plane.json("audit", "log")["items"]}
    assert {"revocations.create", "revocations.delete"} <= actions
    page = gateway.edges[0].authz.metrics()
    assert "gateway_auth_revocations 0.0" in page
    assert "gateway_auth_revocations_age_seconds" in page
    assert 'reason="revoked"' in page


def test_without_redis(gateway: Gateway) -> None:
    """What was revoked stays so; what was accepted goes on; who starts now answers 503; revoking is a 503 too."""
    eve, bob = bearer(sub="eve", jti="t-1"), bearer(sub="bob")
    edge = gateway.edges[0]
    gateway.plane.json("revocations", "add", "platform", "--jti", "t-1")
    edge.until(eve, 401)
    gateway.valkey.kill()
    assert edge.client.get("/", headers=eve).status_code == 401
    assert edge.client.get("/", headers=bob).status_code == 200
    refused = gateway.plane.run("revocations", "add", "platform", "--sub", "bob")
    assert refused.code == 1
    assert "does not answer" in refused.err
    document = DOCUMENT.format(port=free_port(), backend=gateway.backend, jwks=jwks(KEY.jwk()).decode())
    with running_edge(document, gateway.valkey.url) as late:
        assert late.client.get("/", headers=bob).status_code == 503
        gateway.valkey.start()
        late.until(bob, 200)


def test_what_would_have_no_effect_is_refused(gateway: Gateway) -> None:
    """A misspelt provider, two claims, an end that is past."""
    for words in (
        ("plattform", "--sub", "alice"),
        ("platform", "--sub", "alice", "--jti", "1"),
        ("platform", "--sub", "alice", "--lasts", "-1h"),
        ("platform", "--jti", "1", "--issued-before", "2026-01-01T00:00:00Z"),
    ):
        assert gateway.plane.run("revocations", "add", *words).code != 0, words
