"""A server of one list of endpoints, which can be away and come back."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.harness.ports import free_port


class ListServer:
    """Answers every ``GET`` with :attr:`body`, or with 304 to who has it."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.status = 200
        self.headers: dict[str, str] = {}
        self.answers: list[int] = []
        """Every status that was sent."""
        self.port = free_port()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where the list is."""
        return f"http://127.0.0.1:{self.port}/list"

    def start(self) -> None:
        """Answer from now on."""
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        """Be away from now on."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> ListServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner: ListServer) -> None:
        super().__init__(("127.0.0.1", owner.port), _Handler)
        self.owner = owner


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """The list."""
        owner, body = self.server.owner, self.server.owner.body
        tag = f'"{hashlib.sha256(body).hexdigest()[:8]}"'
        status = 304 if owner.status == 200 and self.headers.get("if-none-match") == tag else owner.status
        owner.answers.append(status)
        self.send_response(status)
        for name, value in {"etag": tag, **owner.headers}.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if status != 304:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
