"""The share of an endpoint that has come while a real Envoy runs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from controlplane.model import Endpoint
from controlplane.xds.snapshot import Snapshot
from tests.harness import gateways as g
from tests.harness.echo import Echo, running_echo
from tests.harness.envoy import short_folder
from tests.harness.ports import free_port
from tests.harness.xds import XdsPlane, answering, running_xds
from tests.harness.xds_envoy import TRANSPORTS, XdsEnvoy, running_xds_envoy

SLOW_START = 2.0
WAYS = ("round_robin", "least_request")
TRIES = 5
"""Times that a machine may be too busy to see the beginning."""
ROUNDS = 30
"""Requests of which a share is taken."""


@dataclass(frozen=True, slots=True)
class Scene:
    """An Envoy whose upstreams have one backend, and get another one."""

    client: httpx.AsyncClient
    plane: XdsPlane
    envoy: XdsEnvoy
    backends: tuple[Echo, Echo]
    port: int
    grown: set[str] = field(default_factory=set)
    """Upstreams that have both."""

    async def grow(self, *upstreams: str) -> None:
        """Give them the second backend too."""
        self.grown.update(upstreams)
        self.plane.cache.set("edge", self.snapshot())
        for name in upstreams:
            await self.members(name, 2)

    async def members(self, upstream: str, number: int) -> None:
        """Wait until Envoy knows so many endpoints of it."""

        async def known() -> int:
            return await self.envoy.stat(f"cluster.{upstream}.membership_total")

        await answering(known, number)

    def snapshot(self) -> Snapshot:
        """For each way of balancing an upstream that starts at once, and some that start slowly."""
        upstreams = [
            g.upstream(
                name := f"{way}-{number}",
                endpoints=[Endpoint(host="127.0.0.1", port=b.port) for b in self.backends[: 1 + (name in self.grown)]],
                slow_start=SLOW_START if number else None,
                load_balancing=way,
            )
            for way in WAYS
            for number in range(TRIES + 1)
        ]
        routes = [g.route(f"/{upstream.name}", upstream=upstream.name) for upstream in upstreams]
        return g.edge_snapshot(g.gateway(*routes, listeners=(g.listener(self.port),), upstreams=tuple(upstreams)))

    async def share_of_new(self, upstream: str) -> float:
        """The second backend's part of the next requests."""
        answers = [(await self.client.get(f"/{upstream}")).json()["port"] for _ in range(ROUNDS)]
        return answers.count(self.backends[1].port) / ROUNDS

    async def first_share(self, way: str) -> tuple[str, float]:
        """An upstream that has just got its second backend, and that backend's share in the first third of its time."""
        for number in range(1, TRIES + 1):
            began = time.monotonic()
            await self.grow(f"{way}-{number}")
            share = await self.share_of_new(f"{way}-{number}")
            if time.monotonic() - began < SLOW_START / 3:
                return f"{way}-{number}", share
        raise AssertionError("this machine is too busy to see the beginning")


@asynccontextmanager
async def running_scene() -> AsyncIterator[Scene]:
    """The first backend of all has been there for so long that its own share is whole."""
    with short_folder() as folder, running_echo() as old, running_echo() as new:
        port = free_port()
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client,
            running_xds() as plane,
            running_xds_envoy(folder, TRANSPORTS[0], plane.address) as envoy,
        ):
            scene = Scene(client, plane, envoy, (old, new), port)
            plane.cache.set("edge", scene.snapshot())
            await scene.members(f"{WAYS[-1]}-{TRIES}", 1)
            await answering(lambda: envoy.stat("listener_manager.total_listeners_active"), 2)
            whole = time.monotonic() + SLOW_START

            async def is_whole() -> bool:
                return time.monotonic() > whole

            await answering(is_whole, True)
            yield scene


async def test_a_new_endpoint_begins_slowly() -> None:
    """At first its share is small, later it is whole; without slow_start it is so at once."""
    async with running_scene() as scene:
        for way in WAYS:
            upstream, share = await scene.first_share(way)
            assert share < 0.3, way
            await scene.grow(f"{way}-0")
            assert await scene.share_of_new(f"{way}-0") > 0.35, way

            async def has_grown(upstream: str = upstream) -> bool:
                return await scene.share_of_new(upstream) > 0.4

            await answering(has_grown, True)
