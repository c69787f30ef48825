"""An issuer on a real socket: it publishes its key, tells of opaque tokens, and exchanges each refresh token once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from tests.harness.jose import SigningKey, jwks
from tests.harness.tokens import claims


class TokenIssuer:
    """Answers ``GET /jwks``, ``POST /token`` (a second use of a refresh token is theft) and ``POST /introspect``."""

    def __init__(self, key: SigningKey) -> None:
        self.key = key
        self.good = {"refresh-0"}
        """Refresh tokens that were not used yet."""
        self.opaque: dict[str, dict[str, Any]] = {}
        """What there is to say of opaque tokens that are active."""
        self.asked: list[str] = []
        """The tokens that somebody asked about."""
        self.forms: list[dict[str, str]] = []
        self.authorizations: list[str | None] = []
        self.thefts = 0
        self.status: int | None = None
        """Answered instead, without a body, when it is set."""
        self.delay = 0.0
        self.claims: dict[str, Any] = {}
        """What the next tokens say besides."""
        self._count = 0
        self._lock = threading.Lock()
        self.port = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def access_token(self, *, lives: float = 300, **said: object) -> str:
        """Another token of this issuer."""
        now = int(time.time())
        return self.key.token(claims(iat=now - 600, exp=now + int(lives), **said))

    def introspect(self, form: dict[str, str]) -> dict[str, Any]:
        """RFC 7662."""
        with self._lock:
            self.asked.append(form["token"])
            found = self.opaque.get(form["token"])
        return {"active": False} if found is None else {"active": True, **found}

    def exchange(self, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        """RFC 6749 §6 with rotation."""
        with self._lock:
            self.forms.append(form)
            token = form.get("refresh_token", "")
            if token not in self.good:
                self.thefts += 1
                return 400, {"error": "invalid_grant"}
            self._count += 1
            self.good = {f"refresh-{self._count}"}
        answer = {"access_token": self.access_token(**self.claims), "token_type": "Bearer", "expires_in": 300}
        return 200, {**answer, "refresh_token": f"refresh-{self._count}"}


@contextmanager
def token_issuer(key: SigningKey) -> Iterator[TokenIssuer]:
    """One that is running."""
    issuer = TokenIssuer(key)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, jwks(issuer.key.jwk()))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            issuer.authorizations.append(self.headers.get("authorization"))
            time.sleep(issuer.delay)
            if issuer.status is not None:
                self._send(issuer.status, b"")
                return
            form = {name: values[0] for name, values in parse_qs(body).items()}
            status, answer = (200, issuer.introspect(form)) if self.path == "/introspect" else issuer.exchange(form)
            self._send(status, json.dumps(answer).encode())

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class names it so
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.request_queue_size = 128
    issuer.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
