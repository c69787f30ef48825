"""The services' own xDS client against the real server: policies arrive, are refused, outlive the control plane."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry

from controlplane.xds.cache import SnapshotCache
from controlplane.xds.snapshot import EMPTY, Snapshot, encode_bytes
from servicekit.address import Address
from servicekit.contracts import Limit, LimitPolicy
from servicekit.settings import XdsClientSettings
from servicekit.xds import XdsSubscription
from tests.harness.ports import free_port
from tests.harness.xds import XdsPlane, eventually, running_xds

TYPE = LimitPolicy.TYPE_URL


class NotEnforceableError(Exception):
    """What a service raises that can't do what a policy says."""


def policy(requests: int) -> LimitPolicy:
    """A policy with one limit."""
    return LimitPolicy(limits=(Limit(name="l", by="ip", requests=requests, period_seconds=1, burst=1),))


def snapshot(requests: int) -> Snapshot:
    """What the control plane publishes for it."""
    return Snapshot.of([encode_bytes("default", TYPE, policy(requests).encode())])


@dataclass(slots=True)
class Service:
    """A service and the limit that it enforces."""

    subscription: XdsSubscription[LimitPolicy]
    registry: CollectorRegistry
    enforced: list[int] = field(default_factory=list)

    @property
    def connected(self) -> bool:
        """The gauge."""
        return self.registry.get_sample_value("gateway_xds_connected") == 1

    def policies(self, outcome: str) -> float:
        """The counter of what became of the policies that came."""
        return self.registry.get_sample_value("gateway_xds_policies_total", {"outcome": outcome}) or 0.0


@asynccontextmanager
async def running_service(address: Address, folder: Path | None = None) -> AsyncIterator[Service]:
    """A service that takes limits below 100."""
    enforced: list[int] = []

    def apply(one: LimitPolicy) -> None:
        if one.limits[0].requests >= 100:
            raise NotEnforceableError(f"{one.limits[0].requests} is more than I can count")
        enforced.append(one.limits[0].requests)

    registry = CollectorRegistry()
    subscription = XdsSubscription(
        settings=XdsClientSettings(xds_address=address, node_id="ratelimit-1", node_group="edge", state_dir=folder),
        contract=LimitPolicy,
        apply=apply,
        refusals=(NotEnforceableError,),
        user_agent="gateway-ratelimit",
        registry=registry,
    )
    task = asyncio.create_task(subscription.run())
    try:
        yield Service(subscription, registry, enforced)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def acked(plane: XdsPlane, requests: int) -> bool:
    """Publish and wait for the service's answer."""
    plane.cache.set("edge", snapshot(requests))
    outcome = await plane.ledger.wait_acked("edge", snapshot(requests), (TYPE,), 5)
    return outcome.complete


async def test_a_policy_is_in_force_when_it_is_acknowledged() -> None:
    """What the two steps of a rollout stand on; the ledger knows who it was."""
    async with running_xds() as plane, running_service(plane.address) as service:
        assert service.subscription.complaint() == "no policy yet"
        plane.cache.set("edge", snapshot(1))
        await eventually(lambda: service.enforced == [1], "the first policy is in force")
        assert service.subscription.complaint() is None
        assert await acked(plane, 2)
        assert service.enforced == [1, 2]
        (client,) = plane.ledger.clients()
        assert (client.node.id, client.node.user_agent, client.group) == ("ratelimit-1", "gateway-ratelimit", "edge")


async def test_a_policy_that_can_not_be_enforced_is_refused_in_the_services_words() -> None:
    """The last good one stays in force; the next good one is taken."""
    async with running_xds() as plane, running_service(plane.address) as service:
        plane.cache.set("edge", snapshot(1))
        await eventually(lambda: service.enforced == [1], "the first policy is in force")
        plane.cache.set("edge", snapshot(500))
        outcome = await plane.ledger.wait_acked("edge", snapshot(500), (TYPE,), 5)
        assert outcome.refused == {"ratelimit-1": "500 is more than I can count"}
        plane.cache.set("edge", Snapshot.of([encode_bytes("default", TYPE, b"{not json")]))
        await eventually(lambda: service.policies("rejected") == 2, "bytes that are no policy are refused")
        assert service.enforced == [1]
        assert await acked(plane, 2)
        assert service.enforced == [1, 2]


async def test_taking_the_policy_away_changes_nothing() -> None:
    """No policy is not a policy: what was agreed last goes on."""
    async with running_xds() as plane, running_service(plane.address) as service:
        plane.cache.set("edge", snapshot(1))
        await eventually(lambda: service.enforced == [1], "the policy is in force")
        plane.cache.set("edge", EMPTY)
        assert (await plane.ledger.wait_acked("edge", EMPTY, (TYPE,), 5)).complete
        assert service.enforced == [1]
        assert service.subscription.complaint() is None


async def test_a_control_plane_that_comes_back_finds_its_services_as_they_were() -> None:
    """Another process with the same content sends nothing; a change arrives within seconds of the restart."""
    address = Address(host="127.0.0.1", port=free_port())
    cache = SnapshotCache()
    cache.set("edge", snapshot(1))
    async with running_xds(address=address, cache=cache) as plane, running_service(address) as service:
        await eventually(lambda: service.enforced == [1], "the policy is in force")
        await plane.server.stop(1)
        await eventually(lambda: not service.connected, "the service notices")
        async with running_xds(address=address, cache=cache) as again:
            await eventually(again.ledger.clients, "the service is back")
            assert (await again.ledger.wait_acked("edge", snapshot(1), (TYPE,), 5)).complete
            await eventually(lambda: service.connected, "the service hears that it was taken")
            assert again.registry.get_sample_value("gateway_xds_responses_total", {"type": "LimitPolicy"}) is None
            assert await acked(again, 2)
            assert service.enforced == [1, 2]


async def test_a_service_that_starts_without_the_control_plane_begins_from_its_disk(tmp_path: Path) -> None:
    """And takes the newest when there is one, which it then keeps."""
    address = Address(host="127.0.0.1", port=free_port())
    async with running_xds(address=address) as plane, running_service(address, tmp_path) as service:
        plane.cache.set("edge", snapshot(1))
        await eventually(lambda: service.enforced == [1], "the policy is in force")
    async with running_service(address, tmp_path) as service:
        await eventually(lambda: service.enforced == [1], "the last good policy is in force")
        assert service.subscription.complaint() is None
        async with running_xds(address=address) as plane:
            plane.cache.set("edge", snapshot(2))
            await eventually(lambda: service.enforced == [1, 2], "the newest policy is in force")
    async with running_service(address, tmp_path) as service:
        await eventually(lambda: service.enforced == [2], "the newest was kept")
