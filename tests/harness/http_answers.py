"""An HTTP server that answers as a test says, and remembers what it was asked. TCP, TLS or a Unix socket."""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request."""

    method: str
    path: str
    """With its query."""
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(slots=True, kw_only=True)
class Answered:
    """One response."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    cut_off: bool = False
    """Whether the body ends before its promised length."""


Answer = Callable[[Asked], Answered]


class _UnixServer(ThreadingHTTPServer):
    address_family = socketserver.UnixStreamServer.address_family

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)

    def get_request(self) -> tuple[object, tuple[str, int]]:  # type: ignore[override]  # a socket has no address
        return self.socket.accept()[0], ("unix", 0)


@contextmanager
def http_answers(
    answer: Answer, *, tls: ssl.SSLContext | None = None, unix: Path | None = None
) -> Iterator[tuple[str, list[Asked]]]:
    """Its URL, and what it was asked so far."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:
                self.close_connection = True  # the client has gone

        def _any(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Asked(method=self.command, path=self.path, headers=headers, body=self.rfile.read(length))
            asked.append(request)
            said = answer(request)
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(said.body) + (1 if said.cut_off else 0)))
            self.end_headers()
            self.wfile.write(said.body)
            if said.cut_off:
                self.close_connection = True

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _any  # noqa: N815  http.server finds methods by these names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = _UnixServer(str(unix), Handler) if unix else ThreadingHTTPServer(("127.0.0.1", 0), Handler)  # type: ignore[arg-type]  # a path
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    url = f"unix:{unix}" if unix else f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield url, asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
