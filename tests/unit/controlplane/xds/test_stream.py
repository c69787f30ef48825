"""One stream with several types: its bounds, its nonces, and what it leaves to memory."""

from __future__ import annotations

import pytest

from controlplane.xds import types
from controlplane.xds.changes import Differ
from controlplane.xds.errors import ProtocolError
from controlplane.xds.messages import DeltaRequest, SotwRequest
from controlplane.xds.snapshot import Snapshot
from controlplane.xds.stream import Limits
from tests.unit.controlplane.xds.builders import names, resource, snapshot_of, stream

CDS, LDS = types.CLUSTER, types.LISTENER


def test_types_are_bounded() -> None:
    """Each costs memory, known or not."""
    state = stream(limits=Limits(types=2))
    for type_url in ("a", "b", "a"):
        state.take(DeltaRequest(type_url=type_url), now=0)
    with pytest.raises(ProtocolError, match="more than 2 types"):
        state.take(DeltaRequest(type_url="c"), now=0)


@pytest.mark.parametrize(
    "request_",
    [
        SotwRequest(type_url=CDS, names=("a", "b", "c")),
        DeltaRequest(type_url=CDS, subscribe=("a", "b", "c")),
        DeltaRequest(type_url=CDS, initial_versions={"a": "1", "b": "1", "c": "1"}),
        DeltaRequest(type_url=CDS, subscribe=("long name",)),
        SotwRequest(type_url=CDS, names=("long name",)),
    ],
)
def test_names_are_bounded(request_: SotwRequest | DeltaRequest) -> None:
    """In number and length."""
    with pytest.raises(ProtocolError, match=r"more than [28]"):
        stream(limits=Limits(names=2, name_length=8)).take(request_, now=0)


def test_names_are_bounded_over_all_requests() -> None:
    """Delta adds up."""
    state = stream(limits=Limits(names=2))
    state.take(DeltaRequest(type_url=CDS, subscribe=("a", "b")), now=0)
    with pytest.raises(ProtocolError, match="more than 2 names"):
        state.take(DeltaRequest(type_url=CDS, subscribe=("c",)), now=0)


def test_both_variants_on_one_stream_are_refused() -> None:
    """The method says which it is."""
    state = stream()
    state.take(DeltaRequest(type_url=CDS), now=0)
    with pytest.raises(ProtocolError, match="both variants"):
        state.take(SotwRequest(type_url=CDS), now=0)


def test_types_are_walled_off() -> None:
    """A refusal of one type says nothing about another, nor does its nonce."""
    snapshot = Snapshot.of([resource(types.SECRET, "s"), resource(types.RUNTIME, "r")])
    state = stream(aggregated=True)
    state.aim(snapshot)
    state.take(DeltaRequest(type_url=types.SECRET, subscribe=("s",)), now=0)
    state.take(DeltaRequest(type_url=types.RUNTIME, subscribe=("r",)), now=0)
    first, second = state.next_response(now=0), state.next_response(now=0)
    assert first is not None
    assert second is not None
    assert first.nonce != second.nonce
    assert state.take(DeltaRequest(type_url=types.RUNTIME, nonce=first.nonce, error="no"), now=0) is None
    answer = state.take(DeltaRequest(type_url=types.SECRET, nonce=first.nonce, error="no"), now=0)
    assert answer is not None
    state.take(DeltaRequest(type_url=types.RUNTIME, nonce=second.nonce), now=0)
    assert state.subscriptions[types.SECRET].refused
    assert state.subscriptions[types.RUNTIME].synced


def test_a_change_of_another_type_sends_nothing() -> None:
    """The version of a type is its own."""
    state = stream()
    state.aim(snapshot_of(LDS, a="1"))
    state.take(DeltaRequest(type_url=LDS), now=0)
    response = state.next_response(now=0)
    assert names(response) == ["a"]
    assert response is not None
    state.take(DeltaRequest(type_url=LDS, nonce=response.nonce), now=0)
    state.aim(snapshot_of(LDS, a="1").with_resource(resource(types.SECRET, "s")))
    assert state.next_response(now=0) is None


def test_a_comparison_is_made_once_and_not_for_ever_remembered() -> None:
    """Streams that make the same step share it; the memory for it is bounded."""
    differ = Differ()
    old, new = snapshot_of(CDS, a="1", b="1", c="1"), snapshot_of(CDS, a="1", b="2", d="1")
    first = differ.between(old.set_of(CDS), new.set_of(CDS))
    assert first == ("b", "d", "c")
    assert differ.between(old.set_of(CDS), new.set_of(CDS)) is first
    for number in range(300):
        differ.between(old.set_of(CDS), snapshot_of(CDS, a=f"x{number}").set_of(CDS))
    assert differ.between(old.set_of(CDS), new.set_of(CDS)) is not first
    assert differ.recall(new.version(CDS)) == (new.set_of(CDS), True)
