"""The node book: what nodes have, on every replica and after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controlplane.node_book import DEAD_AFTER, KEPT, SEEN_EVERY, NodeBook
from controlplane.store import Store, open_store
from controlplane.store.errors import StoreError
from controlplane.store.nodes import NodeRecord
from controlplane.xds.ledger import Client, Ledger
from controlplane.xds.messages import DeltaRequest, Node
from tests.unit.controlplane.xds.builders import OTHER, snapshot_of, stream

START = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE, AFTER = snapshot_of(OTHER, p="1"), snapshot_of(OTHER, p="2")


@dataclass(slots=True)
class Replica:
    """A ledger and its book; seconds are counted from its start."""

    name: str
    store: Any
    now: float = 0.0
    ledger: Ledger = field(init=False)
    book: NodeBook = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(clock=lambda: START.timestamp() + self.now, stream_clock=lambda: self.now)
        self.book = NodeBook(ledger=self.ledger, store=self.store, replica=self.name, clock=self.clock)

    def clock(self) -> datetime:
        """Its time."""
        return START + timedelta(seconds=self.now)

    def connect(self, name: str, *, agent: str = "envoy 1.40.0", peer: str = "ipv4:10.0.0.1:1") -> Client:
        """A stream that has everything."""
        at = START.timestamp() + self.now
        client = Client(node=Node(name, user_agent=agent), group="edge", peer=peer, connected_at=at, state=stream())
        client.state.aim(BEFORE)
        client.state.take(DeltaRequest(type_url=OTHER, subscribe=("p",)), now=self.now)
        self.answer(client)
        self.ledger.connected(client)
        return client

    def answer(self, client: Client, error: str | None = None) -> None:
        """Receive what there is and answer it."""
        response = client.state.next_response(now=self.now)
        if response is not None:
            client.state.take(DeltaRequest(type_url=OTHER, nonce=response.nonce, error=error), now=self.now)
            client.state.next_response(now=self.now)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A database that replicas share."""
    opened = await open_store(f"sqlite:///{tmp_path}/book.db")
    yield opened
    await opened.close()


async def test_all_replicas_answer_for_all_nodes(store: Store) -> None:
    """With what each node has, and which replica it is connected to."""
    one, two = Replica("one", store.nodes), Replica("two", store.nodes)
    client = one.connect("edge-1")
    client.state.aim(AFTER)
    one.now = 7
    one.answer(client, error="no such thing")
    two.connect("edge-2", peer="ipv4:10.0.0.2:9")
    for replica in (one, two):
        await replica.book.write()
    seen = [[(view.id, view.replica, view.synced) for view in await replica.book.nodes()] for replica in (one, two)]
    assert seen[0] == seen[1] == [("edge-1", "one", False), ("edge-2", "two", True)]
    (status,) = (await two.book.node("edge-1"))[0].types
    assert (status.refused, status.error, status.behind_since) == (True, "no such thing", START.timestamp() + 7)


async def test_a_restart_forgets_nothing(store: Store) -> None:
    """What went before is gone since then; what was connected when the replica died is so for as long as may be."""
    first = Replica("one", store.nodes)
    first.ledger.disconnected(first.connect("gone"))
    first.connect("there")
    await first.book.write()
    second = Replica("one again", store.nodes, now=5)
    assert {view.id: view.disconnected_at for view in await second.book.nodes()} == {"gone": START, "there": None}
    second.now += DEAD_AFTER.total_seconds()
    assert {view.id: view.disconnected_at for view in await second.book.nodes()} == {"gone": START, "there": START}
    second.connect("there")
    assert [view.replica for view in await second.book.node("there")] == ["one again"]


async def test_a_node_that_moved_is_where_it_went(store: Store) -> None:
    """Also for the replica that it left, though that is the last to write."""
    one, two = Replica("one", store.nodes), Replica("two", store.nodes)
    client = one.connect("edge-1")
    await one.book.write()
    two.connect("edge-1", peer="ipv4:10.0.0.1:2")
    await two.book.write()
    one.ledger.disconnected(client)
    one.now = 3
    await one.book.write()
    for replica in (one, two):
        assert [(view.replica, view.disconnected_at) for view in await replica.book.nodes()] == [("two", None)]


async def test_several_streams_of_one_client_are_one_node() -> None:
    """A service with the same name is another; so is a second proxy by that name, as long as both are here."""
    one = Replica("one", None)
    for _ in range(3):
        one.connect("a")
    one.connect("a", agent="gateway-ext-authz 1")
    twin = one.connect("a", agent="envoy 1.41.0", peer="ipv4:10.0.0.9:1")
    assert [(view.user_agent, view.peer[-3:]) for view in await one.book.node("a")] == [
        ("envoy 1.40.0", "1:1"),
        ("envoy 1.41.0", "9:1"),
        ("gateway-ext-authz 1", "1:1"),
    ]
    one.ledger.disconnected(twin)
    assert len(await one.book.node("a")) == 2


async def test_only_news_is_written() -> None:
    """And now and then that a node is still there; a node that has gone is written once."""
    writes = Writes()
    one = Replica("one", writes)
    client = one.connect("a")
    one.connect("b")
    for _ in range(3):
        await one.book.write()
    client.state.aim(AFTER)
    one.answer(client)
    await one.book.write()
    one.now = SEEN_EVERY.total_seconds()
    await one.book.write()
    one.ledger.disconnected(client)
    for _ in range(3):
        await one.book.write()
    assert writes.saved == [["a envoy", "b envoy"], ["a envoy"], ["a envoy", "b envoy"], ["a envoy"]]
    assert writes.forgotten == [START - KEPT]


async def test_two_nodes_of_one_name_do_not_write_all_the_time() -> None:
    """The one that connected last is kept."""
    writes = Writes()
    one = Replica("one", writes)
    one.connect("a")
    one.now = 1
    one.connect("a", peer="ipv4:10.0.0.2:2")
    for _ in range(3):
        await one.book.write()
    assert writes.saved == [["a envoy"]]


async def test_an_outage_of_the_store_is_told_once_and_harms_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Nodes are shown from memory, and what was missed is written afterwards."""
    writes = Writes(away=True)
    one = Replica("one", writes)
    one.connect("a")
    for _ in range(3):
        await one.book.write()
        assert [view.id for view in await one.book.nodes()] == ["a"]
    writes.away = False
    await one.book.write()
    assert writes.saved == [["a envoy"]]
    assert capsys.readouterr().out.count("the node book can't be kept") == 1


async def test_what_another_version_wrote_is_passed_over() -> None:
    """Types that can't be read are left out; the node is shown."""
    record = NodeRecord(
        id="with spaces envoy",
        replica="old",
        service="envoy 1.40.0",
        group="edge",
        peer="p",
        connected_at=START,
        disconnected_at=None,
        last_seen=START,
        types={"a": {"type_url": "a"}, "b": "?", "c": None},
    )
    (view,) = await Replica("one", Writes(records=(record,))).book.node("with spaces")
    assert view.types == ()


@dataclass(slots=True)
class Writes:
    """A store that remembers what was done."""

    away: bool = False
    records: tuple[NodeRecord, ...] = ()
    saved: list[list[str]] = field(default_factory=list)
    forgotten: list[datetime] = field(default_factory=list)

    async def save(self, records: Iterable[NodeRecord]) -> None:
        """Note the keys."""
        self._check()
        self.saved.append([record.id for record in records])

    async def load(self, limit: int = 1000) -> tuple[NodeRecord, ...]:
        """What it was made with."""
        self._check()
        return self.records[:limit]

    async def forget(self, before: datetime) -> int:
        """Note when."""
        self._check()
        self.forgotten.append(before)
        return 0

    def _check(self) -> None:
        if self.away:
            raise StoreError("away")
