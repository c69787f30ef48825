"""The admin API: open for health and metrics only, problem documents for every error."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client import CollectorRegistry

from controlplane.admin.api import build_admin_app
from controlplane.pipeline import Pipeline
from controlplane.xds.cache import SnapshotCache
from controlplane.xds.ledger import Client, Ledger
from controlplane.xds.messages import Node
from controlplane.xds.stream import Limits, Shared, StreamState
from servicekit.health import Health
from tests.unit.controlplane.test_pipeline import GOOD, loaded, pipeline

TOKEN = "the-admin-token"
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}


class Admin:
    """An admin application without sockets, and what it shows."""

    def __init__(self, token: str) -> None:
        self.line: Pipeline = pipeline(SnapshotCache())
        self.ledger = Ledger(clock=lambda: 0.0)

        async def merge(own: str) -> str:
            return f"{own}merged 1\n"

        app = build_admin_app(
            pipeline=self.line,
            store=None,
            ledger=self.ledger,
            health=Health(checks={"document": self.line.complaint}, started=True),
            registry=CollectorRegistry(),
            merge=merge,
            token=token,
        )
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://admin")


@pytest.fixture
async def admin() -> AsyncIterator[Admin]:
    """With a token."""
    made = Admin(TOKEN)
    async with made.http:
        yield made


@pytest.mark.parametrize("path", ["/api/v1/status", "/api/v1/nodes", "/api/v1/openapi.json", "/api/v1/validate"])
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}])
async def test_nothing_of_the_api_is_open(admin: Admin, path: str, headers: dict[str, str]) -> None:
    """401 with a challenge and a problem document."""
    response = await admin.http.request("POST" if path.endswith("validate") else "GET", path, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == 401


async def test_without_a_token_of_its_own_it_lets_nobody_in() -> None:
    """An empty token is no token."""
    made = Admin("")
    async with made.http:
        for headers in ({}, {"authorization": "Bearer "}, AUTHORIZED):
            assert (await made.http.get("/api/v1/status", headers=headers)).status_code == 401


async def test_health_and_metrics_are_open(admin: Admin) -> None:
    """Ready only when a document is live."""
    assert (await admin.http.get("/health/live")).status_code == 200
    assert (await admin.http.get("/health/ready")).json()["reasons"] == {"document": "no document is live yet"}
    await admin.line.take(loaded(GOOD))
    assert (await admin.http.get("/health/ready")).status_code == 200
    assert "merged 1" in (await admin.http.get("/metrics")).text


async def test_the_status_shows_what_is_live_and_what_was_refused(admin: Admin) -> None:
    """Names of the live document; where and what of each mistake in the refused one."""
    await admin.line.take(loaded(GOOD))
    await admin.line.take(loaded(GOOD.replace("port", "prot")))
    status = (await admin.http.get("/api/v1/status", headers=AUTHORIZED)).json()
    assert (status["listeners"], status["upstreams"], status["routes"]) == (["http"], ["echo"], ["/"])
    assert status["refused"][0]["where"].startswith("gateway.yaml:2:")
    assert status["refused"][0]["hint"] == "did you mean 'port'?"


async def test_a_document_can_be_checked_without_applying_it(admin: Admin) -> None:
    """Counts for a good one, every mistake of a bad one."""
    good = await admin.http.post("/api/v1/validate", headers=AUTHORIZED, content=GOOD)
    assert good.json() == {"listeners": 1, "upstreams": 1, "routes": 1}
    bad = await admin.http.post("/api/v1/validate", headers=AUTHORIZED, content=GOOD.replace("upstream: echo", "x: 1"))
    assert bad.status_code == 422
    assert bad.headers["content-type"] == "application/problem+json"
    assert len(bad.json()["errors"]) == 2
    assert admin.line.status.gateway is None


async def test_a_document_that_is_too_large_is_refused_before_it_is_read_whole(admin: Admin) -> None:
    """413."""
    response = await admin.http.post("/api/v1/validate", headers=AUTHORIZED, content=b" " * (4 * 1024 * 1024 + 1))
    assert response.status_code == 413


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/api/v1/status", 405)])
async def test_other_errors_are_problem_documents_too(admin: Admin, path: str, status: int) -> None:
    """Also those that the framework makes."""
    response = await admin.http.delete(path, headers=AUTHORIZED)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


async def test_nodes_show_who_is_connected(admin: Admin) -> None:
    """With group, software and whether it has everything."""
    state = StreamState(nonce_prefix="n", aggregated=True, shared=Shared(), limits=Limits())
    node = Node(id="envoy-1", cluster="edge", user_agent="envoy 1.40.0")
    admin.ledger.connected(Client(node=node, group="edge", peer="unix:", connected_at=0.0, state=state))
    (shown,) = (await admin.http.get("/api/v1/nodes", headers=AUTHORIZED)).json()
    assert (shown["id"], shown["group"], shown["user_agent"], shown["synced"]) == (
        "envoy-1",
        "edge",
        "envoy 1.40.0",
        True,
    )
