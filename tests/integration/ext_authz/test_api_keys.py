"""API keys from whoever makes them to every ext_authz: two control planes on one PostgreSQL, an Envoy behind each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.harness.command import ControlPlane, control_plane
from tests.harness.echo import running_echo
from tests.harness.envoy import short_folder
from tests.harness.ext_authz_process import ExtAuthzProcess
from tests.harness.guarded_edge import gateway_of, guarded_edge
from tests.harness.guides import document_of
from tests.harness.ports import free_port
from tests.harness.postgres import running_postgres
from tests.harness.processes import wait_for

pytestmark = [pytest.mark.timeout(90), pytest.mark.xdist_group("api-keys")]

WITHIN = 1.0
"""Seconds from the answer of one replica to what the proxies of another do. The bar of the design."""
SECRET = "a secret of thirty-two characters"


def document(*, port: int, backend: int) -> str:
    """That of the guide, with ports of this machine."""
    return document_of("api-keys.md").replace("port: 8000", f"port: {port}").replace(":8048", f":{backend}")


@dataclass
class Edge:
    """One Envoy and the ext_authz of its own, which follows one of the control planes."""

    client: httpx.Client
    authz: ExtAuthzProcess

    def status(self, key: str, path: str = "/") -> int:
        """What a request with this key is answered."""
        return self.client.get(path, headers={"x-api-key": key}).status_code

    def until(self, key: str, status: int, path: str = "/") -> float:
        """Ask until the answer has this status; how many seconds that took."""
        began = time.monotonic()
        wait_for(lambda: self.status(key, path) == status or None, seconds=10, what=f"the answer is {status}")
        return time.monotonic() - began


@contextmanager
def running_edge(written: str, follows: ControlPlane | None) -> Iterator[Edge]:
    """What a document becomes, with the keys of a control plane if there is one."""
    told = {"GATEWAY_API_KEY_SECRET": SECRET}
    if follows is not None:
        told["GATEWAY_XDS_ADDRESS"] = str(follows.xds)
    with short_folder() as folder, guarded_edge(gateway_of(written), folder, **told) as (client, authz):
        yield Edge(client, authz)


@dataclass
class Gateway:
    """Two control planes, and an edge behind each."""

    planes: list[ControlPlane]
    edges: list[Edge]
    backend: int

    def create(self, **options: str) -> dict[str, Any]:
        """A new key, made through the first control plane."""
        words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
        made: dict[str, Any] = self.planes[0].json("keys", "create", "partners", "--owner", "acme", *words)
        return made


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Two of everything but the database."""
    with running_postgres() as server, running_echo() as echo, ExitStack() as stack:
        url = server.make_database("keys")
        planes, edges = [], []
        ports = [free_port(), free_port()]
        first = document(port=ports[0], backend=echo.port)
        for port in ports:
            folder = tmp_path_factory.mktemp("plane")
            (folder / "gateway.yaml").write_text(first)
            told = {
                "GATEWAY_DOCUMENT": str(folder / "gateway.yaml"),
                "GATEWAY_STORE_URL": url,
                "GATEWAY_API_KEY_SECRET": SECRET,
            }
            plane = stack.enter_context(control_plane(folder, **told))
            planes.append(plane)
            edges.append(stack.enter_context(running_edge(document(port=port, backend=echo.port), plane)))
        yield Gateway(planes, edges, echo.port)


def test_a_key_from_its_making_to_its_end(gateway: Gateway) -> None:
    """Made by one replica it opens what both guard; changed, rotated and revoked by the other, that counts at both."""
    one, other = gateway.planes
    made = gateway.create(tier="gold", scope="orders:read", metadata="ticket=42")
    key, key_id = made["key"], made["id"]
    assert max(edge.until(key, 200) for edge in gateway.edges) < WITHIN
    answer = gateway.edges[1].client.get("/", headers={"x-api-key": key, "x-partner": "forged"}).json()
    assert answer["headers"]["x-partner"] == key_id
    assert "x-api-key" not in answer["headers"]

    assert gateway.edges[1].status(key, "/write") == 403
    other.json("keys", "set", key_id, "--scope", "orders:write")
    assert max(edge.until(key, 200, "/write") for edge in gateway.edges) < WITHIN

    second = other.json("keys", "rotate", key_id, "--overlap", "1h")["key"]
    assert second.split("_")[1] == key.split("_")[1] == key_id
    assert max(edge.until(second, 200) for edge in gateway.edges) < WITHIN
    assert [edge.status(key) for edge in gateway.edges] == [200, 200]
    third = other.json("keys", "rotate", key_id, "--overlap", "0s")["key"]
    assert max(edge.until(second, 401) for edge in gateway.edges) < WITHIN
    assert [edge.status(third) for edge in gateway.edges] == [200, 200]

    assert other.run("keys", "revoke", key_id).out == f"{key_id}: revoked\n"
    assert max(edge.until(third, 401) for edge in gateway.edges) < WITHIN
    shown = one.json("keys", "show", key_id)
    assert shown["revoked_at"] is not None
    assert (shown["owner"], shown["tier"], shown["metadata"]) == ("acme", "gold", {"ticket": "42"})


def test_no_secret_is_kept_or_written(gateway: Gateway) -> None:
    """Neither in lists, logs, the audit log, nor on the disks of the services."""
    made = gateway.create()
    gateway.edges[0].until(made["key"], 200)
    secret = made["key"].split("_")[2]
    outputs = [plane.log() for plane in gateway.planes] + [edge.authz.output() for edge in gateway.edges]
    outputs += [gateway.planes[0].run(*words).out for words in (("keys", "list"), ("audit", "log"), ("export", "-"))]
    for edge in gateway.edges:
        outputs += [path.read_text() for path in edge.authz.folder.rglob("*.json")]
    assert any(made["id"] in output for output in outputs)
    assert not any(secret in output or SECRET in output for output in outputs)
    actions = {entry["action"] for entry in gateway.planes[0].json("audit", "log")["items"]}
    assert "api-keys.create" in actions


def test_keys_of_the_document_and_typing_mistakes(gateway: Gateway) -> None:
    """The former count as before; the latter are refused."""
    edge = gateway.edges[0]
    assert edge.client.get("/", headers={"x-fixed": "key"}).status_code == 200
    key = gateway.create()["key"]
    edge.until(key, 200)
    assert edge.status(key[:-1] + ("a" if key[-1] != "a" else "b")) == 401
    assert edge.client.get("/").status_code == 401


def test_without_a_control_plane(gateway: Gateway) -> None:
    """What is known counts on; who never knew the keys answers 503, and catches up by itself."""
    key = gateway.create()["key"]
    edge, plane = gateway.edges[0], gateway.planes[0]
    edge.until(key, 200)
    plane.stop()
    try:
        assert edge.status(key) == 200
        with running_edge(document(port=free_port(), backend=gateway.backend), plane) as late:
            assert late.status(key) == 503
            assert late.status("gwk_wrong") == 401
            plane.start()
            late.until(key, 200)
    finally:
        if plane.process is not None and plane.process.poll() is not None:
            plane.start()


def test_what_would_have_no_effect_is_refused(gateway: Gateway) -> None:
    """A misspelt provider, one that takes the document's keys only, an end that is past, nothing to change."""
    plane = gateway.planes[0]
    for words in (
        ("create", "partnerz", "--owner", "acme"),
        ("create", "fixed", "--owner", "acme"),
        ("create", "partners", "--owner", "acme", "--expires-in", "-1h"),
        ("create", "partners", "--owner", " "),
        ("create", "partners", "--owner", "acme", "--tier", "a b"),
        ("create", "partners", "--owner", "acme", "--metadata", "x"),
        ("set", "nobody", "--tier", "gold"),
        ("set", "nobody"),
        ("rotate", "nobody"),
        ("revoke", "nobody"),
        ("show", "nobody"),
    ):
        assert plane.run("keys", *words).code == 1, words


def test_a_key_that_ends_by_itself(gateway: Gateway) -> None:
    """Nobody has to tell anybody."""
    key = gateway.create(expires_in="4s")["key"]
    for edge in gateway.edges:
        edge.until(key, 200)
    for edge in gateway.edges:
        edge.until(key, 401)
