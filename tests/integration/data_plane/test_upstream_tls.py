"""TLS with backends: the guide's document, through a real Envoy and the real xDS server."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from controlplane.config import load_document
from controlplane.resolve import resolve
from controlplane.xds.snapshot import Snapshot
from tests.harness.certificates import Authority
from tests.harness.echo import Echo, running_echo
from tests.harness.envoy import short_folder
from tests.harness.gateways import edge_snapshot
from tests.harness.guides import document_of
from tests.harness.ports import free_port
from tests.harness.rotation import MountedSecret
from tests.harness.xds import answering, running_xds
from tests.harness.xds_envoy import TRANSPORTS, running_xds_envoy

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """An Envoy with the document of the guide, its backends, and the files that it reads."""

    client: httpx.AsyncClient
    ours: Authority
    theirs: Authority
    secrets: dict[str, MountedSecret]
    backends: dict[str, Echo] = field(default_factory=dict)
    asked: list[str | None] = field(default_factory=list)
    """Names that the shop was asked for (SNI)."""

    async def status(self, path: str) -> int:
        """What the gateway answers."""
        return (await self.client.get(path)).status_code

    async def until(self, path: str, status: int) -> None:
        """Wait for an answer, which has to come within 10 s."""
        await answering(lambda: self.status(path), status)


NAMES = ("shop.internal", "spiffe://example.org/mesh")


def backends(scene: Scene, stack: ExitStack, names: tuple[str, str]) -> dict[int, int]:
    """Four backends, the first two with certificates for ``names``; gives their ports by those of the guide."""
    shop, mesh = map(scene.ours.server, names)
    modern, partners = scene.ours.server("127.0.0.1"), scene.ours.server("127.0.0.1")
    shop.sni_callback = lambda _socket, name, _context: scene.asked.append(name)
    modern.maximum_version = ssl.TLSVersion.TLSv1_2
    partners.verify_mode = ssl.CERT_REQUIRED
    partners.load_verify_locations(scene.theirs.file)
    contexts = {"shop": shop, "mesh": mesh, "modern": modern, "partners": partners}
    for name, context in contexts.items():
        scene.backends[name] = stack.enter_context(running_echo(context))
    return {8048 + index: scene.backends[name].port for index, name in enumerate(contexts)}


def snapshot(folder: Path, ports: dict[int, int]) -> Snapshot:
    """The guide's document, with real ports and real files."""
    document = document_of("upstream-tls.md").replace("/etc/tls", str(folder))
    for written, real in ports.items():
        document = re.sub(rf"(127.0.0.1:|port: ){written}\b", rf"\g<1>{real}", document)
    return edge_snapshot(resolve(load_document(document.encode(), origin="guide"), listen_address="127.0.0.1"))


@asynccontextmanager
async def running_scene(names: tuple[str, str] = NAMES) -> AsyncIterator[Scene]:
    """Everything at its start: the partners' backend is of an authority that is not known yet."""
    with short_folder() as folder, ExitStack() as stack:
        (folder / "ours").mkdir()
        (folder / "theirs").mkdir()
        ours, theirs, port = Authority(folder / "ours"), Authority(folder / "theirs"), free_port()
        first = {"shop": ours.member("a"), "partners": theirs.member("b"), "gateway": ours.member("gateway")}
        secrets = {name: MountedSecret(folder / name, source) for name, source in first.items()}
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client,
            running_xds() as plane,
        ):
            scene = Scene(client=client, ours=ours, theirs=theirs, secrets=secrets)
            ports = {8000: port, **backends(scene, stack, names)}
            async with running_xds_envoy(folder, TRANSPORTS[0], plane.address) as envoy:
                plane.cache.set("edge", snapshot(folder, ports))
                await answering(lambda: envoy.stat("listener_manager.total_listeners_active"), 2)
                yield scene
                assert await envoy.stat("cluster_manager.cds.update_rejected") == 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene() -> AsyncIterator[Scene]:
    """One Envoy for all tests here but the one that changes its files."""
    async with running_scene() as running:
        yield running


async def test_whom_the_gateway_believes(scene: Scene) -> None:
    """An authority of the document's own, and names that are not the address: by SNI, and by URI."""
    assert await scene.status("/shop") == 200
    assert set(scene.asked) == {"shop.internal"}
    assert await scene.status("/mesh") == 200


async def test_whom_it_does_not_believe() -> None:
    """The right authority's word for somebody else, even for the endpoint's own address, is not enough."""
    for names in (("other.internal", "spiffe://example.org/other"), ("127.0.0.1", "127.0.0.1")):
        async with running_scene(names) as scene:
            assert [await scene.status(path) for path in ("/shop", "/mesh")] == [503, 503]
            assert scene.backends["shop"].requests == scene.backends["mesh"].requests == []


async def test_a_backend_that_is_too_old(scene: Scene) -> None:
    """No handshake, and no request."""
    assert await scene.status("/modern") == 503
    assert scene.backends["modern"].requests == []


async def test_a_backend_of_another_authority(scene: Scene) -> None:
    """It sees nothing of a request, although its name is right."""
    assert await scene.status("/partners") == 503
    assert scene.backends["partners"].requests == []


async def test_the_gateway_proves_itself() -> None:
    """Only with a certificate that the backend's authority vouches for."""
    async with running_scene() as scene:
        scene.secrets["partners"].swap(scene.ours.member("believed"))
        scene.secrets["gateway"].swap(scene.theirs.member("proven"))
        await scene.until("/partners", 200)


async def test_new_files() -> None:
    """Another authority and another certificate are taken up while everything runs, each by itself."""
    async with running_scene() as scene:
        partners = scene.backends["partners"]
        scene.secrets["gateway"].swap(scene.theirs.member("proven"))
        assert await scene.status("/partners") == 503
        scene.secrets["partners"].swap(scene.ours.member("believed"))
        await scene.until("/partners", 200)
        assert {one["path"] for one in partners.requests} == {"/partners"}
