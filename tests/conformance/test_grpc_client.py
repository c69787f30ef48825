"""gRPC's own xDS client: listeners and clusters by name, which Envoy never asks for."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.config_source_pb2 import AggregatedConfigSource, ConfigSource
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import Route, RouteAction, RouteMatch, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
    Rds,
)
from google.protobuf.any_pb2 import Any

from controlplane.xds import types
from controlplane.xds.snapshot import EMPTY, Resource, Snapshot, encode_message
from servicekit.address import Address
from tests.harness import grpc_xds_client
from tests.harness.ports import free_port
from tests.harness.xds import XdsPlane, eventually, running_xds

ADS = ConfigSource(ads=AggregatedConfigSource())
TYPES = (types.LISTENER, types.ROUTE_CONFIGURATION, types.CLUSTER, types.CLUSTER_LOAD_ASSIGNMENT)


@asynccontextmanager
async def running_backend(name: str) -> AsyncIterator[int]:
    """A server that answers with its name; yields its port."""

    async def who(_request: bytes, _context: grpc.aio.ServicerContext) -> bytes:
        return name.encode()

    server = grpc.aio.server()
    handlers = {"who": grpc.unary_unary_rpc_method_handler(who)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("echo", handlers),))
    port = free_port()
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


@dataclass(slots=True)
class GrpcClient:
    """A client process for ``xds:///echo``."""

    process: asyncio.subprocess.Process

    async def call(self) -> str:
        """Who answered, or the code of the error."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        async with asyncio.timeout(10):
            return (await self.process.stdout.readline()).decode().strip()

    async def until(self, answer: str) -> None:
        """Call until the answer is this one."""
        seen = []
        for _ in range(300):
            seen.append(await self.call())
            if seen[-1] == answer:
                return
        raise AssertionError(f"never {answer}, but {set(seen)}")


@asynccontextmanager
async def running_client(xds: Address) -> AsyncIterator[GrpcClient]:
    """A client whose control plane is at ``xds``."""
    bootstrap = {
        "xds_servers": [
            {"server_uri": str(xds), "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}
        ],
        "node": {"id": "grpc-client", "cluster": "edge"},
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(grpc_xds_client.__file__)),
        "xds:///echo",
        env={"GRPC_XDS_BOOTSTRAP_CONFIG": json.dumps(bootstrap)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield GrpcClient(process)
    finally:
        process.kill()
        await process.wait()


def snapshot(cluster: str, port: int) -> Snapshot:
    """Calls of ``echo`` go to ``cluster``, which is the server at ``port``; beside it is what nobody asks for."""
    assignment = ClusterLoadAssignment(cluster_name=cluster)
    locality = assignment.endpoints.add(load_balancing_weight={"value": 1})
    locality.locality.region = "here"
    address = locality.lb_endpoints.add().endpoint.address.socket_address
    address.address, address.port_value = "127.0.0.1", port
    route = Route(match=RouteMatch(prefix=""), route=RouteAction(cluster=cluster))
    routes = RouteConfiguration(name="routes", virtual_hosts=[VirtualHost(name="all", domains=["*"], routes=[route])])
    return Snapshot.of(
        [
            encode_message("echo", listener()),
            encode_message("routes", routes),
            eds_cluster(cluster),
            eds_cluster("nobody asks for this"),
            encode_message(cluster, assignment),
        ]
    )


def eds_cluster(name: str) -> Resource:
    """A cluster with endpoints from the same stream."""
    eds = Cluster.EdsClusterConfig(eds_config=ADS)
    return encode_message(name, Cluster(name=name, type=Cluster.EDS, eds_cluster_config=eds))


def listener() -> Listener:
    """What ``xds:///echo`` asks for first."""
    manager = HttpConnectionManager(
        rds=Rds(config_source=ADS, route_config_name="routes"),
        http_filters=[HttpFilter(name="router", typed_config=packed(Router()))],
    )
    listener = Listener(name="echo")
    listener.api_listener.api_listener.CopyFrom(packed(manager))
    return listener


def packed(message: HttpConnectionManager | Router) -> Any:
    """In an ``Any``."""
    wrapped = Any()
    wrapped.Pack(message)
    return wrapped


async def acked(plane: XdsPlane, wanted: Snapshot) -> None:
    """Publish, and wait for the client's answers."""
    plane.cache.set("edge", wanted)
    outcome = await plane.ledger.wait_acked("edge", wanted, TYPES, 10)
    assert outcome.complete, outcome


async def test_calls_follow_what_is_served() -> None:
    """A route to another cluster, new endpoints of a cluster, and a listener that is taken away."""
    async with running_xds() as plane, running_backend("one") as one, running_backend("two") as two:
        plane.cache.set("edge", snapshot("a", one))
        async with running_client(plane.address) as client:
            assert await client.call() == "one"
            await acked(plane, snapshot("b", two))
            await client.until("two")
            await acked(plane, snapshot("b", one))
            await client.until("one")
            (connected,) = plane.ledger.clients()
            assert connected.node.id == "grpc-client"
            assert connected.state.subscriptions[types.LISTENER].interest.names == {"echo"}
            assert connected.state.subscriptions[types.CLUSTER].interest.names == {"b"}
            await acked(plane, snapshot("b", one).without_resource(types.LISTENER, "echo"))
            await client.until("UNAVAILABLE")


async def test_a_listener_may_come_later_than_those_who_ask_for_it() -> None:
    """Rule 14: a name that does not exist stays subscribed; a call that waits for it goes through when it does."""
    async with running_xds() as plane, running_backend("one") as one:
        plane.cache.set("edge", Snapshot.of([eds_cluster("other")]))
        async with running_client(plane.address) as client:
            call = asyncio.create_task(client.call())
            await eventually(plane.ledger.clients, "the client has asked")
            assert (await plane.ledger.wait_acked("edge", plane.cache.get("edge") or EMPTY, TYPES, 5)).complete
            assert not call.done()
            plane.cache.set("edge", snapshot("a", one))
            assert await call == "one"


async def test_a_refusal_is_in_the_clients_words_and_what_was_good_goes_on() -> None:
    """Rule 30: gRPC refuses what it can't do, and keeps the former version."""
    async with running_xds() as plane, running_backend("one") as one:
        plane.cache.set("edge", snapshot("a", one))
        async with running_client(plane.address) as client:
            assert await client.call() == "one"
            bad = snapshot("a", one).with_resource(encode_message("a", Cluster(name="a", type=Cluster.STRICT_DNS)))
            plane.cache.set("edge", bad)
            await eventually(lambda: plane.ledger.clients()[0].state.subscriptions[types.CLUSTER].refused, "a refusal")
            outcome = await plane.ledger.wait_acked("edge", bad, (types.CLUSTER,), 5)
            assert "a:" in outcome.refused["grpc-client"]
            assert await client.call() == "one"
            await acked(plane, snapshot("a", one))


async def test_a_restarted_control_plane_is_not_noticed() -> None:
    """The client goes on, comes back, and follows."""
    async with running_backend("one") as one, running_backend("two") as two, running_xds() as plane:
        plane.cache.set("edge", snapshot("a", one))
        async with running_client(plane.address) as client:
            assert await client.call() == "one"
            await plane.server.stop(1)
            assert await client.call() == "one"
            async with running_xds(address=plane.address) as again:
                again.cache.set("edge", snapshot("a", one))
                await eventually(again.ledger.clients, "the client is back")
                assert await client.call() == "one"
                again.cache.set("edge", snapshot("b", two))
                await client.until("two")
