"""A data plane under test: a real Envoy with a gateway translated for it, a backend, and services that obey."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from controlplane.model import Gateway
from tests.harness.decisions import Authz, Limiter, serving
from tests.harness.echo import Echo, running_echo
from tests.harness.envoy import Envoy, envoy_settings, running_envoy, short_folder, static_bootstrap
from tests.harness.gateways import edge_snapshot
from tests.harness.ports import free_port


@dataclass(frozen=True, slots=True)
class Plane:
    """Its parts."""

    envoy: Envoy
    echo: Echo
    authz: Authz
    limiter: Limiter
    client: httpx.Client
    """Talks to the listener."""


@contextmanager
def running_plane(
    make: Callable[[int, int], Gateway], *, authz: bool = True, limiter: bool = True, **settings: object
) -> Iterator[Plane]:
    """Run what ``make(listener port, backend port)`` gives; ``authz`` and ``limiter`` say which service is up."""
    port = free_port()
    deciding, limiting = Authz(), Limiter()
    with short_folder() as folder, running_echo() as echo:
        configured = envoy_settings(folder, **settings)
        bootstrap = static_bootstrap(edge_snapshot(make(port, echo.port)), configured)
        up = serving(folder, authz=deciding if authz else None, limiter=limiting if limiter else None)
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)
        with up, running_envoy(bootstrap, configured, folder=folder) as envoy, client:
            yield Plane(envoy, echo, deciding, limiting, client)
