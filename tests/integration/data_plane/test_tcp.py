"""Listeners that pass bytes on: who gets them, by the name that clients of TLS ask for too, and what is seen of it."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import httpx
import pytest

from controlplane.config import load_document
from controlplane.resolve import resolve
from tests.harness.certificates import Authority
from tests.harness.echo import running_echo
from tests.harness.envoy import Envoy, envoy_with
from tests.harness.gateways import edge_snapshot
from tests.harness.ports import free_port
from tests.harness.processes import wait_for

DOCUMENT = """
listeners:
  - {{name: all, port: {all}, tcp: speaker}}
  - name: by-name
    port: {by_name}
    tcp: [{{sni: [A.example.com], upstream: a}}, {{sni: ["*.b.example.com"], upstream: b}}]
  - {{name: mixed, port: {mixed}, tcp: [{{sni: [a.example.com], upstream: a}}, {{upstream: speaker}}]}}
  - {{name: nobody, port: {nobody}, tcp: speaker, addresses: {{deny: [127.0.0.0/8]}}}}
  - {{name: told, port: {told}, proxy_protocol: {{balancers: [127.0.0.1]}}, tcp: speaker}}
  - {{name: onward, port: {onward}, tcp: listening}}
  - {{name: reserved, port: {reserved}, tcp: dead}}
  - {{name: http, port: {http}}}
upstreams:
  - {{name: speaker, endpoints: ["http://127.0.0.1:{speaker}"]}}
  - {{name: listening, endpoints: ["http://127.0.0.1:{speaker}"], proxy_protocol: v1}}
  - name: dead
    endpoints: ["http://127.0.0.1:{free}"]
    health_check: {{tcp: true, interval: 100ms}}
    fallback: speaker
  - {{name: a, endpoints: ["http://127.0.0.1:{a}"]}}
  - {{name: b, endpoints: ["http://127.0.0.1:{b}"]}}
routes: [{{match: {{path_prefix: /}}, respond: {{status: 204}}}}]
"""
LISTENERS = ("all", "by_name", "mixed", "nobody", "told", "onward", "reserved", "http", "free")
GREETING = b"speaker 1.0\n"


class _Handler(StreamRequestHandler):
    def handle(self) -> None:
        """Speaks first, gives each line back, and says good-bye to whoever has finished."""
        self.wfile.write(GREETING)
        for line in self.rfile:
            self.wfile.write(line)
        self.wfile.write(b"bye\n")


class _Server(ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def running_speaker() -> Iterator[int]:
    """A server of a protocol that is not HTTP; gives its port."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True, slots=True)
class Scene:
    """What runs, and who is trusted."""

    envoy: Envoy
    ports: dict[str, int]
    trusted: ssl.SSLContext

    def says(self, listener: str, data: bytes) -> bytes:
        """All that comes of these bytes, until the other side closes; the client has finished when it is greeted."""
        with socket.create_connection(("127.0.0.1", self.ports[listener]), timeout=10) as raw:
            try:
                raw.sendall(data)
                first = raw.recv(65_536)
                raw.shutdown(socket.SHUT_WR)
                return first + b"".join(iter(lambda: raw.recv(65_536), b""))
            except TimeoutError:
                raise
            except OSError:  # closed without an answer, perhaps before all was sent
                return b""

    def get(self, listener: str, name: str) -> int:
        """The port of the backend that answers HTTP over TLS, whose certificate is of this name."""
        with (
            socket.create_connection(("127.0.0.1", self.ports[listener]), timeout=10) as raw,
            self.trusted.wrap_socket(raw, server_hostname=name) as encrypted,
        ):
            encrypted.sendall(f"GET / HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: encrypted.recv(65_536), b""))
        port: int = json.loads(answer.partition(b"\r\n\r\n")[2])["port"]
        return port


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One Envoy for all tests here."""
    with ExitStack() as stack:
        authority = Authority(tmp_path_factory.mktemp("authority"))
        ports = {name: free_port() for name in LISTENERS}
        for name, host in (("a", "a.example.com"), ("b", "x.b.example.com")):
            ports[name] = stack.enter_context(running_echo(authority.server(host))).port
        ports["speaker"] = stack.enter_context(running_speaker())
        document = DOCUMENT.format_map(ports).encode()
        gateway = resolve(load_document(document, origin="test"), listen_address="127.0.0.1")
        envoy = stack.enter_context(envoy_with(edge_snapshot(gateway)))
        yield Scene(envoy, ports, ssl.create_default_context(cafile=str(Path(authority.file))))


def test_bytes_pass(scene: Scene) -> None:
    """Both ways, whoever speaks first, and until both have finished."""
    assert scene.says("all", b"one\n\x00\xff\n") == GREETING + b"one\n\x00\xff\nbye\n"


def test_a_line_for_each_connection(scene: Scene) -> None:
    """Who, where to, and how much."""
    sent = b"x" * 1234 + b"\n"
    received = scene.says("all", sent)
    line = scene.envoy.logged(message="connection", listener="all", bytes_received=len(sent))
    assert (line["client_ip"], line["upstream"], line["bytes_sent"]) == ("127.0.0.1", "speaker", len(received))


def test_ways_by_name(scene: Scene) -> None:
    """TLS is between the client and the backend: its certificate is the one that the client sees."""
    assert scene.get("by_name", "a.example.com") == scene.ports["a"]
    assert scene.get("by_name", "x.b.example.com") == scene.ports["b"]
    assert scene.get("mixed", "a.example.com") == scene.ports["a"]
    assert scene.envoy.logged(listener="by-name", sni="x.b.example.com")["upstream"] == "b"


@pytest.mark.parametrize("name", ["b.example.com", "other.example.com"])
def test_names_of_nobody(scene: Scene, name: str) -> None:
    """Closed, where there is no way for all others."""
    with pytest.raises((ssl.SSLError, ConnectionError)):
        scene.get("by_name", name)
    assert scene.says("by_name", b"no TLS\n") == b""


def test_the_way_of_all_others(scene: Scene) -> None:
    """Whatever is no TLS, too."""
    assert scene.says("mixed", b"plain\n") == GREETING + b"plain\nbye\n"


def test_addresses(scene: Scene) -> None:
    """Who may not come hears nothing."""
    assert scene.says("nobody", b"let me in\n") == b""


def test_the_proxy_protocol_both_ways(scene: Scene) -> None:
    """What the balancer says is read and not passed on; what backends are told is."""
    assert scene.says("told", b"PROXY TCP4 192.0.2.1 127.0.0.1 40000 80\r\none\n") == GREETING + b"one\nbye\n"
    assert scene.envoy.logged(listener="told")["client_ip"] == "192.0.2.1"
    assert scene.says("told", b"one\n") == b""
    assert b"PROXY TCP4 127.0.0.1 127.0.0.1 " in scene.says("onward", b"one\n")


def test_a_stand_in(scene: Scene) -> None:
    """Gets the connections while the upstream is not well."""

    def answer() -> bytes | None:
        return scene.says("reserved", b"one\n") or None

    assert wait_for(answer, seconds=10, what="the stand-in answers") == GREETING + b"one\nbye\n"


def test_http_beside_it(scene: Scene) -> None:
    """Routes are for the listeners that speak HTTP."""
    assert httpx.get(f"http://127.0.0.1:{scene.ports['http']}/", timeout=10).status_code == 204
    assert scene.says("all", b"GET / HTTP/1.1\n") == GREETING + b"GET / HTTP/1.1\nbye\n"
