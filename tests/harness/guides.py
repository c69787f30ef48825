"""The examples in the guides, as tests run them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from controlplane.config import load_document
from controlplane.model import Gateway
from controlplane.resolve import resolve
from tests.harness.envoy import Envoy, envoy_settings, running_envoy, short_folder, static_bootstrap
from tests.harness.gateways import edge_snapshot
from tests.harness.ports import free_port

_GUIDES = Path(__file__).parents[2] / "docs" / "guide"
_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LISTENER = 8000


def document_of(guide: str) -> str:
    """All YAML of a guide, put together; its blocks are one document."""
    return "".join(_BLOCK.findall((_GUIDES / guide).read_text()))


def gateway_of(guide: str, ports: Mapping[int, int]) -> Gateway:
    """What the document of a guide says, with these ports in the place of those that it gives."""
    document = document_of(guide)
    for written, real in ports.items():
        document = re.sub(rf"(:|port: ){written}\b", rf"\g<1>{real}", document)
    return resolve(load_document(document.encode(), origin=guide), listen_address="127.0.0.1")


@contextmanager
def running_guide(guide: str, ports: Mapping[int, int], **changes: str) -> Iterator[tuple[Envoy, httpx.Client]]:
    """An Envoy that runs the document of a guide, and a client of its listener.

    ``ports`` are those of backends, by the ports that the guide gives them; ``changes`` go to Envoy's settings.
    """
    port = free_port()
    gateway = gateway_of(guide, {**ports, _LISTENER: port})
    with short_folder() as folder:
        settings = envoy_settings(folder, **changes)
        bootstrap = static_bootstrap(edge_snapshot(gateway), settings)
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)
        with running_envoy(bootstrap, settings, folder=folder) as envoy, client:
            yield envoy, client
