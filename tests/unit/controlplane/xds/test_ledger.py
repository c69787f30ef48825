"""The book of who has what, and waiting until everybody has it."""

from __future__ import annotations

import asyncio
import time

from controlplane.xds import types
from controlplane.xds.ledger import REMEMBERED, Client, Ledger
from controlplane.xds.messages import DeltaRequest, Node
from controlplane.xds.snapshot import Snapshot
from tests.unit.controlplane.xds.builders import OTHER, snapshot_of, stream

BEFORE, AFTER = snapshot_of(OTHER, p="1"), snapshot_of(OTHER, p="2")


def client(name: str, *, group: str = "edge", type_url: str = OTHER) -> Client:
    """A connected client that has acknowledged :data:`BEFORE`."""
    one = Client(node=Node(id=name), group=group, peer="unix:", connected_at=1000.0, state=stream())
    one.state.aim(BEFORE)
    one.state.take(DeltaRequest(type_url=type_url, subscribe=("p",)), now=10)
    answer(one, None)
    return one


def answer(one: Client, error: str | None) -> None:
    """Receive and answer."""
    response = one.state.next_response(now=11)
    if response is not None:
        one.state.take(DeltaRequest(type_url=response.type_url, nonce=response.nonce, error=error), now=12)


def ledger_of(*clients: Client) -> Ledger:
    """A ledger whose epoch is 1,000 s after the streams' clock."""
    ledger = Ledger(clock=lambda: 1020.0, stream_clock=lambda: 20.0)
    for one in clients:
        ledger.connected(one)
    return ledger


def publish(snapshot: Snapshot, *clients: Client) -> None:
    """What the cache does."""
    for one in clients:
        one.state.aim(snapshot)


async def test_nobody_to_wait_for_is_complete() -> None:
    """Other groups, other types and clients that have gone do not count."""
    gone = client("gone")
    ledger = ledger_of(client("other", group="else"), client("envoy", type_url=types.CLUSTER), gone)
    ledger.disconnected(gone)
    assert (await ledger.wait_acked("edge", AFTER, (OTHER,), 0.0)).complete


async def test_it_waits_until_the_last_has_acknowledged() -> None:
    """What the client had before does not count."""
    a, b = client("a"), client("b")
    ledger = ledger_of(a, b)
    assert (await ledger.wait_acked("edge", BEFORE, (OTHER,), 0.0)).complete
    publish(AFTER, a, b)
    waiting = asyncio.create_task(ledger.wait_acked("edge", AFTER, (OTHER,), 5.0))
    for one in (a, b):
        await asyncio.sleep(0)
        assert not waiting.done()
        answer(one, None)
        ledger.touched()
    assert (await waiting).complete


async def test_time_that_is_over_names_those_who_have_not_answered() -> None:
    """The caller decides what that means."""
    a, b = client("a"), client("b")
    ledger = ledger_of(a, b)
    publish(AFTER, a, b)
    answer(a, None)
    outcome = await ledger.wait_acked("edge", AFTER, (OTHER,), 0.01)
    assert not outcome.complete
    assert outcome.waiting == ("b",)


async def test_a_refusal_ends_the_wait_with_its_words() -> None:
    """Everybody has answered."""
    a, b = client("a"), client("b")
    ledger = ledger_of(a, b)
    publish(AFTER, a, b)
    answer(a, "no such thing")
    answer(b, None)
    outcome = await ledger.wait_acked("edge", AFTER, (OTHER,), 5.0)
    assert not outcome.complete
    assert outcome.refused == {"a": "no such thing"}


async def test_a_client_that_goes_is_not_waited_for() -> None:
    """It takes the newest when it comes back."""
    a = client("a")
    ledger = ledger_of(a)
    publish(AFTER, a)
    waiting = asyncio.create_task(ledger.wait_acked("edge", AFTER, (OTHER,), 5.0))
    await asyncio.sleep(0)
    ledger.disconnected(a)
    assert (await waiting).complete


def test_the_book_keeps_what_was_sent_acknowledged_and_refused() -> None:
    """With the client's words, and times since the epoch; also when the stream is over."""
    a = client("a")
    ledger = ledger_of(a)
    publish(AFTER, a)
    answer(a, "no")
    (status,) = ledger.statuses(a)
    assert (status.type_url, status.names, status.wildcard) == (OTHER, 1, False)
    assert (status.desired, status.sent, status.sent_at) == (AFTER.version(OTHER), AFTER.version(OTHER), 1011.0)
    assert (status.acked, status.acked_at) == (BEFORE.version(OTHER), 1012.0)
    assert (status.refused, status.error, status.error_at, status.synced) == (True, "no", 1012.0, False)
    assert ledger.clients() == [a]
    ledger.disconnected(a)
    ledger.disconnected(a)
    assert ledger.clients() == []
    (ended,) = ledger.ended()
    assert (ended.node.id, ended.connected_at, ended.disconnected_at) == ("a", 1000.0, 1020.0)
    assert ended.types == (status,)


def test_what_is_over_is_bounded() -> None:
    """Clients that come and go fill no memory."""
    ledger = Ledger(clock=time.time)
    for number in range(REMEMBERED + 5):
        one = Client(node=Node(id=str(number)), group="g", peer="", connected_at=0, state=stream())
        ledger.connected(one)
        ledger.disconnected(one)
    assert len(ledger.ended()) == REMEMBERED
    assert ledger.ended()[0].node.id == "5"
