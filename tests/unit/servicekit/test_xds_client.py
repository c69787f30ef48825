"""A service's side of xDS: what it says, what it keeps, what it begins with."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from servicekit.contracts import Limit, LimitPolicy
from servicekit.settings import XdsClientSettings
from servicekit.xds import XdsSubscription
from servicekit.xds.last_good import LastGood, Policy
from servicekit.xds.session import RejectedError, Session

TYPE = LimitPolicy.TYPE_URL
POLICY = LimitPolicy(limits=(Limit(name="per-ip", by="ip", requests=1, period_seconds=1, burst=1),))


def response(body: bytes = b"{}", *, name: str = "default", removed: tuple[str, ...] = ()) -> DeltaDiscoveryResponse:
    """What a control plane sends."""
    message = DeltaDiscoveryResponse(type_url=TYPE, nonce="n1", removed_resources=removed)
    resource = message.resources.add(name=name, version="v1")
    resource.resource.type_url, resource.resource.value = TYPE, body
    return message


def session(applied: list[Policy], reason: str | None = None) -> Session:
    """One stream: writes down what it put in force, or refuses with ``reason``."""

    def apply(policy: Policy) -> None:
        if reason is not None:
            raise RejectedError(reason)
        applied.append(policy)

    return Session(type_url=TYPE, apply=apply)


def test_the_first_request_says_who_asks_for_what_and_what_it_has() -> None:
    """A reconnect with the same version costs the control plane nothing."""
    request = session([]).first_request(node_id="n", group="g", user_agent="a", have=Policy("v0", b""))
    assert (request.node.id, request.node.cluster, request.node.user_agent_name) == ("n", "g", "a")
    assert (request.type_url, list(request.resource_names_subscribe)) == (TYPE, ["default"])
    assert dict(request.initial_resource_versions) == {"default": "v0"}


def test_what_is_put_in_force_is_acked() -> None:
    """The nonce comes back without an error."""
    applied: list[Policy] = []
    request = session(applied).answer(response(b"{}"))
    assert applied == [Policy("v1", b"{}")]
    assert request.response_nonce == "n1"
    assert not request.HasField("error_detail")


def test_what_is_refused_is_nacked_with_the_reason() -> None:
    """The control plane shows it to people."""
    request = session([], reason="rule 'x' names no provider").answer(response())
    assert request.response_nonce == "n1"
    assert request.error_detail.message == "rule 'x' names no provider"


def test_other_names_and_removals_change_nothing() -> None:
    """No policy at all is not a policy."""
    applied: list[Policy] = []
    assert not session(applied).answer(response(name="other", removed=("default",))).HasField("error_detail")
    assert applied == []


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_kept_comes_back(tmp_path_factory: pytest.TempPathFactory, version: str, body: str) -> None:
    """Any text."""
    kept = LastGood(tmp_path_factory.mktemp("state") / "deep", "Policy")
    kept.save(Policy(version, body.encode()))
    assert kept.load() == Policy(version, body.encode())


@given(st.binary(max_size=100))
def test_a_damaged_file_is_no_policy(tmp_path_factory: pytest.TempPathFactory, damage: bytes) -> None:
    """Whatever the disk holds, the service starts."""
    folder = tmp_path_factory.mktemp("state")
    (folder / "Policy.json").write_bytes(damage)
    assert LastGood(folder, "Policy").load() is None


def test_the_file_is_its_owners_only(tmp_path: Path) -> None:
    """A policy holds hashes of API keys."""
    LastGood(tmp_path, "Policy").save(Policy("v", b"{}"))
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_disk_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    """The policy is in force all the same."""
    (tmp_path / "state").write_text("a file where a folder should be")
    LastGood(tmp_path / "state", "Policy").save(Policy("v", b"{}"))


class RefusedError(Exception):
    """What the service raises."""


def subscription(
    folder: Path | None, in_force: list[LimitPolicy], *, refuse: bool = False
) -> XdsSubscription[LimitPolicy]:
    """A subscription whose control plane is not there."""

    def apply(policy: LimitPolicy) -> None:
        if refuse:
            raise RefusedError("no")
        in_force.append(policy)

    return XdsSubscription(
        settings=XdsClientSettings(state_dir=folder),
        contract=LimitPolicy,
        apply=apply,
        refusals=(RefusedError,),
        user_agent="test",
        registry=CollectorRegistry(),
    )


def test_a_restart_begins_with_the_last_good_policy(tmp_path: Path) -> None:
    """Ready before the control plane is there."""
    LastGood(tmp_path, "LimitPolicy").save(Policy("v1", POLICY.encode()))
    in_force: list[LimitPolicy] = []
    begun = subscription(tmp_path, in_force)
    assert begun.complaint() == "no policy yet"
    begun.begin()
    assert in_force == [POLICY]
    assert begun.complaint() is None


def test_a_kept_policy_that_is_not_enforceable_any_more_is_left(tmp_path: Path) -> None:
    """After an upgrade, say: the service waits for the control plane."""
    LastGood(tmp_path, "LimitPolicy").save(Policy("v1", POLICY.encode()))
    begun = subscription(tmp_path, [], refuse=True)
    begun.begin()
    assert begun.complaint() == "no policy yet"


class LeavingCall:
    """A stream that ends right after its first response: then grpc.aio refuses to write."""

    def __init__(self) -> None:
        self.writes = 0

    async def write(self, _request: object) -> None:
        """Take the first request only."""
        self.writes += 1
        if self.writes > 1:
            raise asyncio.InvalidStateError("RPC already finished.")

    async def initial_metadata(self) -> tuple[()]:
        """The control plane takes the stream."""
        return ()

    def done(self) -> bool:
        """Not yet."""
        return False

    async def read(self) -> DeltaDiscoveryResponse:
        """One policy."""
        return response(POLICY.encode())

    def cancel(self) -> None:
        """Nothing is left to cancel."""


class LeavingChannel:
    """A channel whose streams are :class:`LeavingCall`."""

    def stream_stream(self, *_: object, **__: object) -> type[LeavingCall]:
        """What a stub asks for."""
        return LeavingCall

    stream_unary = unary_stream = unary_unary = stream_stream


async def test_a_stream_that_ends_before_the_answer_does_not_end_the_service() -> None:
    """The policy is in force; the next stream says that it is there."""
    in_force: list[LimitPolicy] = []
    begun = subscription(None, in_force)
    assert await begun.connection(LeavingChannel())
    assert in_force == [POLICY]
