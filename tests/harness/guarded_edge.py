"""A real Envoy and the ext_authz of its own, for what one document says, without a control plane."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from google.protobuf.any_pb2 import Any

from controlplane.config import load_document
from controlplane.model import Gateway
from controlplane.resolve import resolve
from controlplane.translate import translate_release
from servicekit.contracts import AuthPolicy
from tests.harness.envoy import envoy_settings, running_envoy, static_bootstrap
from tests.harness.ext_authz_process import ExtAuthzProcess, ext_authz_process


def gateway_of(document: str) -> Gateway:
    """What a document says."""
    return resolve(load_document(document.encode(), origin="test"), listen_address="127.0.0.1")


@contextmanager
def guarded_edge(gateway: Gateway, folder: Path, **environment: str) -> Iterator[tuple[httpx.Client, ExtAuthzProcess]]:
    """A client of its first listener, and the ext_authz, which is told ``environment`` too."""
    release = translate_release(gateway)
    (resource,) = release.services.of_type(AuthPolicy.TYPE_URL).values()
    policy = AuthPolicy.decode(Any.FromString(resource.body).value)
    settings = envoy_settings(folder)
    with (
        ext_authz_process(folder, policy, **environment) as authz,
        running_envoy(static_bootstrap(release.groups["edge"], settings), settings, folder=folder),
        httpx.Client(base_url=f"http://127.0.0.1:{gateway.listeners[0].port}", timeout=10) as client,
    ):
        yield client, authz
