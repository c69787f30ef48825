"""A control plane without documents: the real xDS server, load reports and rollout; a test publishes what it likes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc.aio
from prometheus_client import CollectorRegistry

from controlplane.events import Event, Events
from controlplane.model import Canary, NodeGroup, NodeSelector
from controlplane.placement import Placement
from controlplane.rollout import GroupState, Rollout
from controlplane.translate import Release
from controlplane.xds.cache import SnapshotCache
from controlplane.xds.ledger import Ledger
from controlplane.xds.load_book import LoadBook
from controlplane.xds.load_reports import LoadReportServer
from controlplane.xds.server import SERVER_OPTIONS, DrainingServer, XdsServer
from controlplane.xds.snapshot import Snapshot, encode_bytes
from servicekit.address import Address
from servicekit.contracts import AuthPolicy, LimitPolicy
from tests.harness.ports import free_port

NO_POLICIES = Snapshot.of(
    encode_bytes("default", policy.TYPE_URL, policy.encode()) for policy in (AuthPolicy(), LimitPolicy())
)


@dataclass(slots=True)
class RolloutPlane:
    """Its parts. The group of a node is what it says as its cluster."""

    address: Address
    rollout: Rollout
    loads: LoadBook
    ledger: Ledger
    server: DrainingServer
    events: Events

    async def publish(self, groups: Mapping[str, Snapshot], *, canary: Canary | None = None) -> Release:
        """Publish what each group gets."""
        selectors = {name: NodeSelector(clusters=(name,)) for name in groups}
        release = Release(
            node_groups=tuple(NodeGroup(name=name, nodes=nodes) for name, nodes in selectors.items()),
            groups=groups,
            services=NO_POLICIES,
            canary=canary,
        )
        await self.rollout.publish(release)
        return release

    def state(self, group: str) -> GroupState:
        """How a group stands."""
        return next(state for state in self.rollout.state() if state.name == group)

    def phases(self) -> Mapping[str, str]:
        """How far the canary is in each group where there is one."""
        return {state.name: state.canary.phase for state in self.rollout.state() if state.canary is not None}

    def happened(self) -> list[Event]:
        """Everything that was told."""
        return list(self.events.after("-0"))


@asynccontextmanager
async def running_rollout(*, load_interval: float = 0.5) -> AsyncIterator[RolloutPlane]:
    """One on a free port."""
    cache, ledger, placement, registry = SnapshotCache(), Ledger(clock=time.time), Placement(), CollectorRegistry()
    loads, events = LoadBook(interval=load_interval), Events()
    xds = XdsServer(cache=cache, ledger=ledger, place=placement.place, identifier="replica-1", registry=registry)
    reports = LoadReportServer(book=loads, place=placement.place)
    server = grpc.aio.server(options=SERVER_OPTIONS)
    xds.add_to(server)
    reports.add_to(server)
    address = Address(host="127.0.0.1", port=free_port())
    server.add_insecure_port(str(address))
    rollout = Rollout(
        cache=cache,
        ledger=ledger,
        placement=placement,
        regroup=xds.regroup,
        loads=loads,
        events=events,
        registry=registry,
    )
    draining = DrainingServer(server, xds, reports)
    await draining.start()
    watching = asyncio.create_task(rollout.run())
    try:
        yield RolloutPlane(address, rollout, loads, ledger, draining, events)
    finally:
        watching.cancel()
        await draining.stop(0.5)
