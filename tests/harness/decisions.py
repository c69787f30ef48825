"""gRPC services that answer Envoy as a test tells them to, and remember what they were asked."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from envoy.service.auth.v3.external_auth_pb2_grpc import (
    AuthorizationServicer,
    add_AuthorizationServicer_to_server,
)
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitResponse
from envoy.service.ratelimit.v3.rls_pb2_grpc import (
    RateLimitServiceServicer,
    add_RateLimitServiceServicer_to_server,
)

OK = RateLimitResponse(overall_code=RateLimitResponse.OK)


class Authz(AuthorizationServicer):  # type: ignore[misc]  # generated code has no types
    """Answers with :attr:`answer`."""

    def __init__(self) -> None:
        self.answer = CheckResponse()
        self.asked: list[Any] = []

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - the service's name
        """One decision."""
        self.asked.append(request)
        return self.answer


class Limiter(RateLimitServiceServicer):  # type: ignore[misc]  # generated code has no types
    """Answers with :attr:`answer`."""

    def __init__(self) -> None:
        self.answer = OK
        self.asked: list[Any] = []

    def ShouldRateLimit(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - the service's name
        """One decision."""
        self.asked.append(request)
        return self.answer


@contextmanager
def serving(folder: Path, *, authz: Authz | None = None, limiter: Limiter | None = None) -> Iterator[None]:
    """Serve them on the sockets that ``tests.harness.envoy.envoy_settings`` names."""
    servers = []
    with ThreadPoolExecutor(4) as threads:
        for service, add, socket in (
            (authz, add_AuthorizationServicer_to_server, "ext_authz.sock"),
            (limiter, add_RateLimitServiceServicer_to_server, "ratelimit.sock"),
        ):
            if service is not None:
                server = grpc.server(threads)
                add(service, server)
                server.add_insecure_port(f"unix:{folder / socket}")
                server.start()
                servers.append(server)
        try:
            yield
        finally:
            for server in servers:
                server.stop(grace=None).wait()
