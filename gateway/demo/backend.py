"""A backend that answers with what it received. For demonstration and tests only."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.demo.settings import DemoBackendSettings
from servicekit.health import Health
from servicekit.http import HttpServer, health_routes
from servicekit.logs import configure_logging
from servicekit.serving import Process, run
from servicekit.settings import load_settings

_LONGEST_DELAY = 60.0
_DELAY = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")
_ANY = re.compile(r"\d{3}")


def echo(health: Health) -> ASGIApp:
    """An application that answers every request with a JSON object that describes it.

    ``?status=503`` makes it answer with that status, ``?delay=200ms`` (at most a minute) after that time.
    ``/health`` and ``/health/…`` are its own.
    """
    own = Starlette(routes=health_routes(health))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"].startswith("/health/"):
            await own(scope, receive, send)
            return
        size = await _body_size(receive)
        options = parse_qs(scope["query_string"].decode("latin-1"))
        if delay := _delay(options):
            await asyncio.sleep(delay)
        await _answer(send, _status(options), _description(scope, size))

    return app


def _description(scope: Scope, size: int) -> Mapping[str, object]:
    if scope["path"] == "/health":
        return {"status": "ok"}
    return {
        "method": scope["method"],
        "path": scope["raw_path"].decode("latin-1"),
        "query": scope["query_string"].decode("latin-1"),
        "headers": _headers(scope["headers"]),
        "body_bytes": size,
    }


def _headers(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Names to values; the values of a repeated header are joined (RFC 9110 §5.3)."""
    found: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


async def _body_size(receive: Receive) -> int:
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    return size


def _status(options: Mapping[str, list[str]]) -> int:
    text = options.get("status", [""])[0]
    return int(text) if _ANY.fullmatch(text) and 200 <= int(text) <= 599 else HTTPStatus.OK


def _delay(options: Mapping[str, list[str]]) -> float:
    match = _DELAY.fullmatch(options.get("delay", [""])[0])
    if match is None:
        return 0.0
    return min(float(match[1]) / (1000 if match[2] == "ms" else 1), _LONGEST_DELAY)


async def _answer(send: Send, status: int, description: Mapping[str, object]) -> None:
    # Indented, for people read it in a terminal.
    body = b"" if status in (204, 304) else json.dumps(description, indent=1).encode() + b"\n"
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def builder(settings: DemoBackendSettings) -> Callable[[], Awaitable[Process]]:
    """What :func:`servicekit.serving.run` runs."""

    async def build() -> Process:
        health = Health()
        http = HttpServer(echo(health), settings.demo_backend_bind)
        return Process(health=health, http=http, drain_seconds=settings.drain_seconds)

    return build


def main(bind: str | None = None) -> None:
    """Run the demo backend; ``bind`` (``host:port``) wins over the environment."""
    settings = load_settings(DemoBackendSettings, demo_backend_bind=bind)
    configure_logging(service="demo-backend", level=settings.log_level)
    run(builder(settings))
