"""The HTTP side of a process: health, metrics, and a server that leaves signals to its owner."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from servicekit.address import Address
from servicekit.client_names import ClientNamesProtocol
from servicekit.health import Health


class AddressInUseError(Exception):
    """A socket could not be bound; the text names the address."""


def health_routes(health: Health) -> list[BaseRoute]:
    """``/health/live``, ``/health/ready`` and ``/health/startup``: 200, or 503 with the reasons."""

    async def live(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def startup(_request: Request) -> Response:
        return _verdict({} if health.started else {"startup": "still starting"})

    async def ready(_request: Request) -> Response:
        return _verdict(health.complaints())

    return [
        Route("/health/live", live),
        Route("/health/startup", startup),
        Route("/health/ready", ready),
    ]


def metrics_route(registry: CollectorRegistry) -> BaseRoute:
    """``/metrics`` in the Prometheus text format."""

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Route("/metrics", metrics)


def operations_app(*, health: Health, registry: CollectorRegistry, routes: Sequence[BaseRoute] = ()) -> Starlette:
    """The small HTTP application that every service has beside its gRPC server."""
    return Starlette(routes=[*health_routes(health), metrics_route(registry), *routes])


def _verdict(complaints: dict[str, str]) -> Response:
    if not complaints:
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": "unavailable", "reasons": complaints}, status_code=503)


class HttpServer(uvicorn.Server):
    """uvicorn without its signal handlers: :func:`servicekit.serving.serve` decides when to stop."""

    def __init__(self, app: ASGIApp, address: Address, *, tls: ssl.SSLContext | None = None) -> None:
        self.address = address
        self._socket: socket.socket | None = None
        super().__init__(
            uvicorn.Config(
                app,
                http=ClientNamesProtocol,
                ssl_context_factory=(lambda _config, _default: tls) if tls is not None else None,
                log_config=None,
                access_log=False,
                lifespan="off",
                # Who the client is comes from its connection, never from a header that it sent.
                proxy_headers=False,
                server_header=False,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave SIGTERM and SIGINT alone."""
        yield

    def listen(self) -> None:
        """Bind the address; connections wait until :meth:`run_until_stopped`.

        Raises:
            AddressInUseError: the address can't be bound.
        """
        self._socket = bind(self.address)

    async def run_until_stopped(self) -> None:
        """Serve until :attr:`should_exit` is set, on the address that :meth:`listen` has bound."""
        if self._socket is None:
            raise RuntimeError("listen() comes before run_until_stopped()")
        try:
            await self.serve(sockets=[self._socket])
        finally:
            self._socket.close()


def bind(address: Address) -> socket.socket:
    """A listening socket.

    Raises:
        AddressInUseError: the address can't be bound; the text says which and why.
    """
    family = socket.AF_UNIX if address.is_unix else (socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    # asyncio turns Nagle's algorithm off only for sockets that say that they are TCP.
    sock = socket.socket(family, socket.SOCK_STREAM, 0 if address.is_unix else socket.IPPROTO_TCP)
    try:
        if not address.is_unix:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address.path if address.is_unix else (address.host, address.port))
        sock.listen(2048)
    except OSError as error:
        sock.close()
        raise AddressInUseError(f"cannot listen on {address}: {error.strerror}") from error
    return sock
