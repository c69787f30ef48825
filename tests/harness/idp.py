"""An identity provider on a real socket, which a test can make slow, wrong, large or dead; it counts its calls."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Reply:
    """What the provider answers."""

    body: bytes = b'{"keys":[]}'
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before the answer."""


class IdentityProvider:
    """Answers every GET with :attr:`reply`, or with what :attr:`replies` holds for the path."""

    def __init__(self) -> None:
        self.reply = Reply()
        self.replies: dict[str, Reply] = {}
        self.calls: list[str] = []
        self.stopping = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where the keys are."""
        return f"http://127.0.0.1:{self.port}/jwks"

    def publish(self, document: bytes) -> None:
        """Hand out ``document`` from now on."""
        self.reply = Reply(document)

    def start(self) -> None:
        """Listen; after :meth:`stop`, on the same port again."""
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.calls.append(self.path)
                reply = provider.replies.get(self.path, provider.reply)
                provider.stopping.wait(reply.delay)
                self.send_response(reply.status)
                for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class names it so
                """Say nothing."""

            def handle(self) -> None:
                with suppress(ConnectionError):  # the client gave up, which is what some tests want
                    super().handle()

        self.stopping.clear()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        """Refuse connections."""
        self.stopping.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    """A provider that listens."""
    provider = IdentityProvider()
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()
