"""Virtual hosts on demand, with the real Envoy: a request waits for its host, and goes on when that is answered for."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import DirectResponseAction, Route, RouteMatch, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.on_demand.v3.on_demand_pb2 import OnDemand
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    Rds,
)
from google.protobuf.message import Message

from controlplane.xds import types
from controlplane.xds.snapshot import Resource, Snapshot, alias, encode_message
from tests.harness.envoy import short_folder
from tests.harness.xds import XdsPlane, eventually, running_xds
from tests.harness.xds_envoy import Transport, XdsEnvoy, running_xds_envoy

SEPARATE = Transport(aggregated=False, delta=True)


def listener(port: int) -> Resource:
    """One whose routes have no virtual hosts of their own."""
    manager = HttpConnectionManager(
        stat_prefix="l", rds=Rds(config_source=SEPARATE.source(), route_config_name="routes")
    )
    filters: dict[str, Message] = {"envoy.filters.http.on_demand": OnDemand(), "envoy.filters.http.router": Router()}
    for name, config in filters.items():
        manager.http_filters.add(name=name).typed_config.Pack(config)
    made = Listener(name="l")
    made.address.socket_address.address, made.address.socket_address.port_value = "127.0.0.1", port
    made.filter_chains.add().filters.add(name="hcm").typed_config.Pack(manager)
    return encode_message("l", made)


def routes() -> Resource:
    """Every virtual host comes on demand."""
    made = RouteConfiguration(name="routes")
    made.vhds.config_source.CopyFrom(SEPARATE.source())
    return encode_message("routes", made)


def host(name: str, domain: str) -> Resource:
    """One that answers by itself."""
    answer = DirectResponseAction(status=200)
    answer.body.inline_string = name
    route = Route(match=RouteMatch(prefix="/"), direct_response=answer)
    return encode_message(f"routes/{name}", VirtualHost(name=name, domains=[domain], routes=[route]))


@asynccontextmanager
async def running() -> AsyncIterator[XdsEnvoy]:
    """An Envoy that has its routes."""
    with short_folder() as folder:
        async with running_xds() as plane, running_xds_envoy(folder, SEPARATE, plane.address) as envoy:
            shop = host("shop", "shop.test")
            known = [listener(envoy.port), routes(), shop, alias("routes/shop.test", shop)]
            plane.cache.set("edge", Snapshot.of(known))
            await eventually(lambda: is_asked_for_virtual_hosts(plane), "Envoy knows that there are virtual hosts")
            yield envoy


def is_asked_for_virtual_hosts(plane: XdsPlane) -> bool:
    """Whether a stream for them is open."""
    return any(types.VIRTUAL_HOST in one.state.subscriptions for one in plane.ledger.clients())


async def ask(envoy: XdsEnvoy, name: str) -> tuple[int, str, float]:
    """Status, body and seconds of a request for a host."""
    began = time.monotonic()
    async with httpx.AsyncClient(timeout=8) as client:
        for _ in range(100):
            try:
                answer = await client.get(f"http://127.0.0.1:{envoy.port}/", headers={"host": name})
            except httpx.ConnectError:
                continue
            return answer.status_code, answer.text, time.monotonic() - began
    raise AssertionError("nobody listens")


async def test_a_request_for_a_host_goes_on_whether_there_is_one_or_not() -> None:
    """Rule 27: by its alias, and by what says that there is none; not by a time-out."""
    async with running() as envoy:
        status, body, _ = await ask(envoy, "shop.test")
        assert (status, body) == (200, "shop")
        status, _, took = await ask(envoy, "none.test")
        assert status == 404
        assert took < 2
