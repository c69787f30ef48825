"""What every node store does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controlplane.store import Store, open_store
from controlplane.store.nodes import NodeRecord, NodeStore
from controlplane.store.sql_nodes import SqlNodeStore

pytestmark = pytest.mark.xdist_group("postgres")
START = datetime(2030, 1, 1, tzinfo=UTC)
NODE = NodeRecord(
    id="edge-1",
    replica="one",
    service="envoy",
    group="edge",
    peer="10.0.0.1:1",
    connected_at=START,
    disconnected_at=None,
    last_seen=START,
    types={"cds": {"version": "1", "refused": None}},
)


def at(seconds: int) -> datetime:
    """A moment."""
    return START + timedelta(seconds=seconds)


@pytest.fixture
def nodes(everything: Store) -> NodeStore:
    """An empty book."""
    return everything.nodes


async def test_a_node_comes_back_as_it_was_saved(nodes: NodeStore) -> None:
    """All of it, whatever it calls itself; and the newest record replaces the one before."""
    assert await nodes.load() == ()
    await nodes.save([NODE])
    assert await nodes.load() == (NODE,)
    later = replace(NODE, last_seen=at(5), types={}, group="canary")
    await nodes.save([NODE, later])
    assert await nodes.load() == (later,)
    odd = replace(NODE, id="a\0\ud800", service="\0", peer="ü")
    await nodes.save([odd])
    assert {one.id for one in await nodes.load()} == {"edge-1", "a\ufffd\ufffd"}
    await nodes.save([])


async def test_a_replica_that_a_node_has_left_can_not_say_that_it_is_gone(nodes: NodeStore) -> None:
    """The node has moved on to another replica, whose word counts, whatever the clocks say."""
    await nodes.save([NODE])
    moved = replace(NODE, replica="two", connected_at=at(-50), last_seen=at(-50))
    await nodes.save([moved])
    await nodes.save([replace(NODE, disconnected_at=at(9), last_seen=at(9))])
    assert await nodes.load() == (moved,)
    gone = replace(moved, disconnected_at=at(10))
    await nodes.save([gone])
    assert await nodes.load() == (gone,)
    back = replace(NODE, connected_at=at(20))
    await nodes.save([back])
    assert await nodes.load() == (back,)


async def test_the_connected_come_first(nodes: NodeStore) -> None:
    """Then those last seen first, up to the limit."""
    await nodes.save([replace(NODE, id=f"up-{n}", last_seen=at(n)) for n in range(3)])
    await nodes.save(
        [replace(NODE, id=f"gone-{n}", last_seen=at(50 + n), disconnected_at=at(50 + n)) for n in range(3)]
    )
    loaded = await nodes.load(limit=4)
    assert [one.id for one in loaded] == ["up-2", "up-1", "up-0", "gone-2"]
    for limit in (0, 20_001):
        with pytest.raises(ValueError, match="are read"):
            await nodes.load(limit=limit)


async def test_nodes_that_were_not_seen_for_long_are_forgotten(nodes: NodeStore) -> None:
    """Also those whose replica died before it could say that they were gone."""
    await nodes.save([replace(NODE, id=f"n{n}", last_seen=at(n)) for n in range(5)])
    assert await nodes.forget(at(3)) == 3
    assert [one.id for one in await nodes.load()] == ["n4", "n3"]


async def test_the_longest_gone_make_room(tmp_path: Path) -> None:
    """The book has its bound: who is gone leaves before who is connected."""
    store = await open_store(f"sqlite:///{tmp_path}/nodes.db")
    try:
        assert isinstance(store.nodes, SqlNodeStore)
        small = SqlNodeStore(store.nodes._database, most=4)
        await small.save([replace(NODE, id=f"gone-{n}", last_seen=at(n), disconnected_at=at(n)) for n in range(3)])
        await small.save([replace(NODE, id=f"up-{n}", last_seen=at(n)) for n in range(3)])
        assert {one.id for one in await small.load()} == {"up-0", "up-1", "up-2", "gone-2"}
        await small.save([replace(NODE, id=f"up-{n}", last_seen=at(n)) for n in range(6)])
        assert {one.id for one in await small.load()} == {"up-2", "up-3", "up-4", "up-5"}
    finally:
        await store.close()


async def test_thousands_are_saved_in_batches(nodes: NodeStore) -> None:
    """More than one statement may have parameters."""
    await nodes.save(replace(NODE, id=f"n{n}") for n in range(4000))
    assert len(await nodes.load(20_000)) == 4000
