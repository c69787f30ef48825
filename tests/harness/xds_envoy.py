"""A real Envoy that takes its configuration in any of the four ways, and small snapshots for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any as AnyValue

import httpx
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.core.v3.config_source_pb2 import (
    AggregatedConfigSource,
    ApiConfigSource,
    ApiVersion,
    ConfigSource,
)
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
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

from controlplane.xds.snapshot import Resource, Snapshot, encode_message
from gateway.bootstrap import build_bootstrap
from servicekit.address import Address
from servicekit.contracts.data_plane import XDS_CLUSTER
from tests.harness.envoy import Envoy, envoy_settings, running_envoy
from tests.harness.ports import free_port
from tests.harness.xds import eventually


@dataclass(frozen=True, slots=True)
class Transport:
    """How Envoy takes its configuration."""

    aggregated: bool
    delta: bool

    def __str__(self) -> str:
        return f"{'ads' if self.aggregated else 'separate'}-{'delta' if self.delta else 'sotw'}"

    def source(self) -> ConfigSource:
        """Where a resource comes from."""
        if self.aggregated:
            return ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)
        return ConfigSource(api_config_source=self.api(), resource_api_version=ApiVersion.V3)

    def api(self) -> ApiConfigSource:
        """A stream to the control plane."""
        api = ApiConfigSource(
            api_type=ApiConfigSource.DELTA_GRPC if self.delta else ApiConfigSource.GRPC,
            transport_api_version=ApiVersion.V3,
            set_node_on_first_message_only=True,
        )
        api.grpc_services.add().envoy_grpc.cluster_name = XDS_CLUSTER
        return api


TRANSPORTS = [Transport(aggregated, delta) for aggregated in (True, False) for delta in (True, False)]


@dataclass(slots=True)
class XdsEnvoy:
    """A running Envoy, asked without blocking the server that it talks to."""

    envoy: Envoy
    transport: Transport
    port: int
    """Of the listener that snapshots give it."""

    async def admin(self, path: str) -> httpx.Response:
        """GET from the admin interface."""
        transport = httpx.AsyncHTTPTransport(uds=self.envoy.settings.envoy_admin.path)
        async with httpx.AsyncClient(transport=transport, base_url="http://envoy", timeout=5) as client:
            return await client.get(path)

    async def stat(self, name: str) -> int:
        """One counter or gauge."""
        text = (await self.admin(f"/stats?filter=^{name}$")).text.strip()
        return int(text.rpartition(" ")[2] or 0)

    async def route(self, path: str = "/") -> tuple[int, str]:
        """Status of a request, and which cluster the route says it went to."""
        async with httpx.AsyncClient() as client:
            try:
                response = await client.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)
            except httpx.TransportError:
                return 0, ""
        return response.status_code, response.headers.get("x-cluster", "")

    async def until_route(self, status: int, cluster: str) -> None:
        """Wait until requests are answered like this."""
        seen: list[tuple[int, str]] = []
        for _ in range(500):
            seen.append(await self.route())
            if seen[-1] == (status, cluster):
                return
        raise AssertionError(f"never {status} from {cluster}, but {set(seen)}")

    def snapshot(self, backend: int, *clusters: str, timeout: int = 1) -> Snapshot:
        """A listener that routes to the last of ``clusters``, all of which lead to ``backend``."""
        resources: list[Resource] = []
        for name in clusters:
            resources += [self.cluster(name, timeout=timeout), load_assignment(name, backend)]
        resources.append(encode_message("routes", route_configuration(clusters[-1])))
        return Snapshot.of([*resources, encode_message("l", self._listener())])

    def cluster(self, name: str, *, timeout: int = 1) -> Resource:
        """A cluster with endpoints from the same transport."""
        cluster = Cluster(name=name, type=Cluster.EDS)
        cluster.eds_cluster_config.eds_config.CopyFrom(self.transport.source())
        cluster.connect_timeout.FromSeconds(timeout)
        return encode_message(name, cluster)

    def _listener(self) -> Listener:
        manager = HttpConnectionManager(
            stat_prefix="l",
            rds=Rds(config_source=self.transport.source(), route_config_name="routes"),
            http_filters=[HttpFilter(name="envoy.filters.http.router", typed_config=_packed(Router()))],
        )
        chain = FilterChain(filters=[Filter(name="hcm", typed_config=_packed(manager))])
        listener = Listener(name="l", filter_chains=[chain])
        listener.address.socket_address.address, listener.address.socket_address.port_value = "127.0.0.1", self.port
        return listener


def load_assignment(name: str, port: int) -> Resource:
    """One endpoint."""
    assignment = ClusterLoadAssignment(cluster_name=name)
    address = assignment.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
    address.address, address.port_value = "127.0.0.1", port
    return encode_message(name, assignment)


def route_configuration(cluster: str) -> RouteConfiguration:
    """Everything to ``cluster``, which the response names."""
    header = HeaderValueOption(header=HeaderValue(key="x-cluster", value=cluster))
    route = Route(match=RouteMatch(prefix="/"), route=RouteAction(cluster=cluster), response_headers_to_add=[header])
    return RouteConfiguration(name="routes", virtual_hosts=[VirtualHost(name="all", domains=["*"], routes=[route])])


@asynccontextmanager
async def running_xds_envoy(
    folder: Path, transport: Transport, address: Address, **changes: AnyValue
) -> AsyncIterator[XdsEnvoy]:
    """An Envoy whose control plane is at ``address``; ``changes`` go to its settings."""
    settings = envoy_settings(folder, xds_address=address, **changes)
    bootstrap = Bootstrap.FromString(bytes(build_bootstrap(settings)))
    if transport.aggregated:
        bootstrap.dynamic_resources.ads_config.CopyFrom(transport.api())
    else:
        bootstrap.dynamic_resources.ClearField("ads_config")
        for source in (bootstrap.dynamic_resources.lds_config, bootstrap.dynamic_resources.cds_config):
            source.CopyFrom(transport.source())
    with running_envoy(bootstrap.SerializeToString(), settings, folder=folder, wait=False) as envoy:
        xds_envoy = XdsEnvoy(envoy, transport, free_port())
        await eventually(lambda: Path(settings.envoy_admin.path).exists(), "Envoy has begun")
        yield xds_envoy


def _packed(message: AnyValue) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed
