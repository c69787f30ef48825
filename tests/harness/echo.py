"""A backend that answers with what it received, or with what it is told to."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.harness.ports import free_port

_LONGEST_HOLD = 10


class Echo(ThreadingHTTPServer):
    """Remembers every request. Set :attr:`status` to let it fail, clear :attr:`hold` to let it hang."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.port = port
        self.status = 200
        self.hold = threading.Event()
        self.hold.set()
        self.extra: dict[str, str] = {}
        """More headers of every answer."""
        self.body: bytes | None = None
        """Answered instead of what was received."""
        self.chunked = False
        """Whether answers come in chunks, without a length."""
        self.requests: list[dict[str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each body waits 40 ms for the acknowledgement of its headers
    server: Echo

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        received: dict[str, Any] = {
            "method": self.command,
            "path": self.path,
            "headers": dict(headers),
            "body": body.decode(),
            "at": time.monotonic(),
            "connection": self.client_address[1],
            "port": self.server.port,
        }
        self.server.requests.append(received)
        answer = json.dumps(received).encode() if self.server.body is None else self.server.body
        self.server.hold.wait(_LONGEST_HOLD)
        self.send_response(self.server.status)
        self.send_header("content-type", "application/json")
        for name, value in self.server.extra.items():
            self.send_header(name, value)
        if self.server.chunked:
            self.send_header("transfer-encoding", "chunked")
            answer = b"%x\r\n%s\r\n0\r\n\r\n" % (len(answer), answer)
        else:
            self.send_header("content-length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            with suppress(BrokenPipeError, ConnectionResetError):  # the gateway gave up
                self.wfile.write(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _answer  # noqa: N815 - the base class' names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def running_echo(tls: ssl.SSLContext | None = None) -> Iterator[Echo]:
    """A started backend, stopped at the end; with ``tls`` it speaks HTTPS."""
    server = Echo(free_port())
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
