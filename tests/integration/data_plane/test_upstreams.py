"""How a real Envoy talks to backends: TLS that checks whom it talks to, names from DNS, health checks, WebSockets."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from controlplane.model import Endpoint, UpstreamTls
from tests.harness import gateways as g
from tests.harness.certificates import Authority
from tests.harness.echo import running_echo
from tests.harness.envoy import envoy_with
from tests.harness.gateways import edge_snapshot
from tests.harness.ports import free_port

UPGRADE = (
    b"GET /chat HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\r\n"
)
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"


@pytest.mark.parametrize(
    ("endpoint", "certificate", "status"),
    [
        ("localhost", "localhost", 200),
        ("localhost", "other.example.com", 503),
        ("localhost", "127.0.0.1", 503),
        ("127.0.0.1", "127.0.0.1", 200),
        ("127.0.0.1", "10.0.0.1", 503),
        ("127.0.0.1", "localhost", 503),
    ],
)
def test_a_backend_has_to_prove_its_name(tmp_path: Path, endpoint: str, certificate: str, status: int) -> None:
    """A certificate of a trusted authority for somebody else is not enough."""
    authority, port = Authority(tmp_path), free_port()
    with running_echo(authority.server(certificate)) as echo:
        upstream = g.upstream(
            endpoints=(Endpoint(host=endpoint, port=echo.port),),
            discovery="static" if endpoint[0].isdigit() else "dns",
            tls=UpstreamTls(),
        )
        snapshot = edge_snapshot(g.gateway(listeners=(g.listener(port),), upstreams=(upstream,)))
        with envoy_with(snapshot, ca_file=authority.file):
            assert httpx.get(f"http://127.0.0.1:{port}/").status_code == status


def test_a_backend_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    """Whatever name it proves."""
    (tmp_path / "trusted").mkdir()
    trusted, port = Authority(tmp_path / "trusted"), free_port()
    with running_echo(Authority(tmp_path).server("127.0.0.1")) as echo:
        snapshot = edge_snapshot(
            g.gateway(listeners=(g.listener(port),), upstreams=(g.upstream(port=echo.port, tls=UpstreamTls()),))
        )
        with envoy_with(snapshot, ca_file=trusted.file):
            assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 503


def test_health_checks_carry_the_endpoints_host_and_keep_the_sick_away() -> None:
    """An endpoint that fails its check gets no requests, without a try."""
    port = free_port()
    with running_echo() as echo:
        echo.status = 500
        upstream = g.upstream(port=echo.port, health_check=g.health_check(path="/healthz", interval=0.1))
        snapshot = edge_snapshot(g.gateway(listeners=(g.listener(port),), upstreams=(upstream,)))
        with envoy_with(snapshot):
            response = httpx.get(f"http://127.0.0.1:{port}/")
        assert response.json()["type"] == "urn:gateway:problem:no_healthy_upstream"
        assert {(r["path"], r["headers"]["host"]) for r in echo.requests} == {("/healthz", "127.0.0.1")}


def test_websockets_pass() -> None:
    """After the upgrade bytes go both ways."""
    port = free_port()
    with _one_websocket() as backend:
        snapshot = edge_snapshot(g.gateway(listeners=(g.listener(port),), upstreams=(g.upstream(port=backend),)))
        with envoy_with(snapshot), socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(UPGRADE)
            assert b" 101 " in _until(client, b"\r\n\r\n")
            client.sendall(b"hello\n")
            assert _until(client, b"\n") == b"hello\n"


def test_a_proxy_is_not_what_this_is() -> None:
    """CONNECT and OPTIONS * reach nobody."""
    port = free_port()
    with running_echo() as echo:
        gateway = g.gateway(
            g.route("/", authenticate=("platform",)),
            identity_providers=(g.jwt_provider(),),
            listeners=(g.listener(port),),
            upstreams=(g.upstream(port=echo.port),),
        )
        with envoy_with(edge_snapshot(gateway)):
            for line in (f"CONNECT 127.0.0.1:{echo.port}", "OPTIONS *"):
                with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                    client.sendall(f"{line} HTTP/1.1\r\nhost: 127.0.0.1:{echo.port}\r\n\r\n".encode())
                    assert re.match(rb"HTTP/1.1 (403|404) ", _until(client, b"\r\n"))
        assert not echo.requests


@contextmanager
def _one_websocket() -> Iterator[int]:
    """A server that upgrades one connection and echoes one line; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(10)
                _until(connection, b"\r\n\r\n")
                connection.sendall(SWITCHING)
                connection.sendall(_until(connection, b"\n"))

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def _until(connection: socket.socket, end: bytes) -> bytes:
    received = b""
    while end not in received:
        more = connection.recv(4096)
        assert more, f"closed after {received!r}"
        received += more
    return received
