"""Policies go first; the rest follows when the services have them, or when they have had their time."""

from __future__ import annotations

from dataclasses import dataclass, field

from controlplane.rollout import POLICY_TYPES, Rollout
from controlplane.xds import types
from controlplane.xds.snapshot import EMPTY, Snapshot, encode_bytes

AUTH, LIMIT = POLICY_TYPES


@dataclass
class Answer:
    """How a wait ended."""

    complete: bool = True
    refused: dict[str, str] = field(default_factory=dict)


@dataclass
class Recorder:
    """A cache and a ledger that write down what happens, in order."""

    snapshot: Snapshot | None = None
    events: list[object] = field(default_factory=list)
    answer: Answer = field(default_factory=Answer)

    def get(self, group: str, /) -> Snapshot | None:
        """What was set last."""
        return self.snapshot

    def set(self, group: str, snapshot: Snapshot, /) -> None:
        """Remember it."""
        self.snapshot = snapshot
        self.events.append(snapshot)

    async def wait_acked(self, group: str, snapshot: Snapshot, type_urls: tuple[str, ...], seconds: float, /) -> Answer:
        """Remember who is waited for."""
        self.events.append(type_urls)
        return self.answer


def snapshot(**values: bytes) -> Snapshot:
    """One resource of each named kind."""
    urls = {"auth": AUTH, "limit": LIMIT, "routes": types.ROUTE_CONFIGURATION}
    return Snapshot.of(encode_bytes("default", urls[kind], value) for kind, value in values.items())


def rollout(recorder: Recorder) -> Rollout:
    """For one group, with a recorder for cache and ledger."""
    return Rollout(cache=recorder, ledger=recorder, group="edge", policy_deadline=1)


async def test_policies_are_acked_before_routes_are_published() -> None:
    """The step in between has the new policy and the old routes."""
    recorder = Recorder(snapshot(auth=b"1", limit=b"1", routes=b"1"))
    new = snapshot(auth=b"2", limit=b"1", routes=b"2")
    assert await rollout(recorder).publish(new)
    assert recorder.events == [snapshot(auth=b"2", limit=b"1", routes=b"1"), (AUTH,), new]


async def test_a_change_without_policies_waits_for_nobody() -> None:
    """One step."""
    recorder = Recorder(snapshot(auth=b"1", routes=b"1"))
    new = snapshot(auth=b"1", routes=b"2")
    assert await rollout(recorder).publish(new)
    assert recorder.events == [new]


async def test_the_first_snapshot_of_a_control_plane_goes_out_whole() -> None:
    """After a restart nodes hold what they had: a step with policies alone would tell them to drop the rest."""
    recorder = Recorder()
    new = snapshot(auth=b"1", routes=b"1")
    assert await rollout(recorder).publish(new)
    assert recorder.events == [new]


async def test_equal_in_means_nothing_out() -> None:
    """Nobody hears of a save that changes nothing."""
    recorder = Recorder(snapshot(auth=b"1", routes=b"1"))
    assert not await rollout(recorder).publish(snapshot(auth=b"1", routes=b"1"))
    assert recorder.events == []


async def test_a_service_that_is_silent_does_not_stop_a_change() -> None:
    """After the deadline the routes go out all the same."""
    recorder = Recorder(EMPTY, answer=Answer(complete=False))
    new = snapshot(auth=b"1", routes=b"1")
    assert await rollout(recorder).publish(new)
    assert recorder.snapshot == new
