"""TLS with clients, and the way there from HTTP: the guide's document, through a real Envoy and the real xDS server."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from cryptography import x509

from controlplane.config import load_document
from controlplane.resolve import resolve
from controlplane.xds import types
from controlplane.xds.snapshot import Snapshot
from tests.harness.certificates import Authority
from tests.harness.echo import Echo, running_echo
from tests.harness.envoy import short_folder
from tests.harness.gateways import edge_snapshot
from tests.harness.guides import document_of
from tests.harness.ports import free_port
from tests.harness.rotation import MountedSecret
from tests.harness.xds import XdsPlane, eventually, running_xds
from tests.harness.xds_envoy import TRANSPORTS, XdsEnvoy, running_xds_envoy

WRITTEN = (8443, 8444, 8000, 8001, 8002, 8003, 8004, 8005, 8006, 8048, 8049, 8050)
SHOP, API = "shop.example.com", "*.api.example.com"


@dataclass(frozen=True, slots=True)
class Edge:
    """What runs, and the files that it reads."""

    envoy: XdsEnvoy
    plane: XdsPlane
    echo: Echo
    ports: dict[int, int]
    """By the ports that the guide gives them."""
    authority: Authority
    secrets: dict[str, MountedSecret]

    def trust(self, *client: str) -> ssl.SSLContext:
        """What a client trusts, and the member whose certificate it shows, if any."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        for name in client:
            folder = self.authority.member(name, f"{name}.test")
            context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        return context

    async def shown(self, name: str | None) -> str:
        """The common name in the certificate that is shown to whoever asks for ``name``."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        context.check_hostname = False
        _, writer = await asyncio.open_connection(
            "127.0.0.1", self.ports[8443], ssl=context, server_hostname=name or "127.0.0.1"
        )
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        return x509.load_der_x509_certificate(der).subject.rfc4514_string()

    async def get(self, port: int, path: str, context: ssl.SSLContext, **headers: str) -> httpx.Response:
        """GET over TLS from the host of the first certificate."""
        host = SHOP if port == 8443 else "v1.api.example.com"
        extensions = {"sni_hostname": host}
        async with httpx.AsyncClient(verify=context, http2=True, timeout=5) as client:
            url = f"https://127.0.0.1:{self.ports[port]}{path}"
            sent = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
            return await client.get(url, headers=sent, extensions=extensions)

    async def plain(self, port: int, path: str, host: str) -> httpx.Response:
        """GET in the clear."""
        async with httpx.AsyncClient(timeout=5) as client:
            return await client.get(f"http://127.0.0.1:{self.ports[port]}{path}", headers={"host": host})


def snapshot(folder: Path, ports: dict[int, int]) -> Snapshot:
    """The guide's document, with real ports and real files."""
    document = document_of("listeners.md").replace("/etc/tls", str(folder))
    for written, real in ports.items():
        document = re.sub(rf"(127.0.0.1:|port: ){written}\b", rf"\g<1>{real}", document)
    return edge_snapshot(resolve(load_document(document.encode(), origin="guide"), listen_address="127.0.0.1"))


@asynccontextmanager
async def running_edge() -> AsyncIterator[Edge]:
    """An Envoy that has been given the guide's document."""
    with short_folder() as folder, running_echo() as echo:
        authority = Authority(folder)
        members = {"shop": authority.member("shop", SHOP), "api": authority.member("api", API)}
        members["partners"] = authority.member("partners")
        secrets = {name: MountedSecret(folder / name, source) for name, source in members.items()}
        ports = {**{port: free_port() for port in WRITTEN}, 8048: echo.port, 8049: echo.port}
        async with running_xds() as plane, running_xds_envoy(folder, TRANSPORTS[0], plane.address) as envoy:
            plane.cache.set("edge", snapshot(folder, ports))
            await eventually((folder / "admin.sock").exists, "Envoy has begun")
            edge = Edge(envoy, plane, echo, ports, authority, secrets)
            for port in (8443, 8444, 8000, 8001, 8004, 8005):
                await until_open(ports[port])
            yield edge
            assert await envoy.stat("listener_manager.lds.update_rejected") == 0


async def until_open(port: int) -> None:
    """Wait for a listener."""
    for _ in range(500):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise AssertionError(f"nobody listens on {port}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge() -> AsyncIterator[Edge]:
    """One Envoy for all tests here but those that change its files."""
    async with running_edge() as running:
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_https(edge: Edge) -> None:
    """HTTP/2 for whoever speaks it, HTTP/1.1 for the others; upstreams are told that it was HTTPS."""
    answer = await edge.get(8443, "/x", edge.trust())
    assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
    assert answer.json()["headers"]["x-forwarded-proto"] == "https"


@pytest.mark.parametrize(
    ("asked", "shown"),
    [(SHOP, "CN=shop"), ("v1.api.example.com", "CN=api"), ("other.example.com", "CN=shop"), (None, "CN=shop")],
)
async def test_certificates_by_name(edge: Edge, asked: str | None, shown: str) -> None:
    """The one that fits, wildcards too; the first for all others."""
    assert await edge.shown(asked) == shown


@pytest.mark.parametrize(("port", "version"), [(8443, "TLSv1_1"), (8444, "TLSv1_2")])
async def test_versions_that_are_too_old(edge: Edge, port: int, version: str) -> None:
    """No handshake."""
    context = edge.trust()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1") if version == "TLSv1_1" else nullcontext():
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with pytest.raises(httpx.ConnectError, match=r"(?i)version"):
        await edge.get(port, "/", context)


async def test_client_certificates_are_told(edge: Edge) -> None:
    """Hash, subject and names of a good one; of none nothing; and never what a client says itself."""
    claim = "Hash=0;Subject=CN=root"
    told = (await edge.get(8444, "/", edge.trust("acme"), x_forwarded_client_cert=claim)).json()["headers"]
    assert re.fullmatch(r'Hash=[0-9a-f]{64};Subject="CN=acme";URI=;DNS=acme\.test', told["x-forwarded-client-cert"])
    for port in (8443, 8444):
        answer = await edge.get(port, "/", edge.trust(), x_forwarded_client_cert=claim)
        assert "x-forwarded-client-cert" not in answer.json()["headers"]


async def test_client_certificates_of_nobody(edge: Edge, tmp_path: Path) -> None:
    """Another authority's word counts for nothing, although clients without a certificate are let in."""
    context, stranger = edge.trust(), Authority(tmp_path).member("stranger")
    context.load_cert_chain(stranger / "tls.crt", stranger / "tls.key")
    before = len(edge.echo.requests)
    with pytest.raises((httpx.TransportError, ssl.SSLError)):  # an alert after the handshake arrives unmapped
        await edge.get(8444, "/", context)
    assert len(edge.echo.requests) == before


@pytest.mark.parametrize(
    ("port", "host", "status", "location"),
    [
        (8000, "shop.example.com", 308, "https://shop.example.com/a%20b?c=d"),
        (8000, "shop.example.com:8000", 308, "https://shop.example.com:443/a%20b?c=d"),
        (8000, "[::1]", 308, "https://[::1]/a%20b?c=d"),
        (8001, "shop.example.com", 301, "https://shop.example.com:{}/a%20b?c=d"),
        (8001, "shop.example.com:8001", 301, "https://shop.example.com:{}/a%20b?c=d"),
    ],
)
async def test_redirects_to_https(edge: Edge, port: int, host: str, status: int, location: str) -> None:
    """The same URL, and no upstream hears of it."""
    before = len(edge.echo.requests)
    answer = await edge.plain(port, "/a%20b?c=d", host)
    assert (answer.status_code, answer.headers["location"]) == (status, location.format(edge.ports[8443]))
    assert len(edge.echo.requests) == before


async def test_what_is_not_redirected(edge: Edge) -> None:
    """Challenges go to the routes, as they are after normalisation; health is answered."""
    challenge = "/.well-known/acme-challenge/token"
    assert (await edge.plain(8000, challenge, SHOP)).json()["path"] == challenge
    assert (await edge.plain(8000, "/health", SHOP)).json() == {"status": "ok"}
    assert (await edge.plain(8000, f"{challenge}/../../../secret", SHOP)).status_code == 308
    assert (await edge.plain(8000, "/.well-known/acme-challenge", SHOP)).status_code == 308


def over_tls(edge: Edge, first: bytes) -> bytes:
    """What the listener behind a balancer answers to a request over TLS that begins with these bytes."""
    with socket.create_connection(("127.0.0.1", edge.ports[8004]), timeout=10) as raw:
        raw.sendall(first)
        with edge.trust().wrap_socket(raw, server_hostname=SHOP) as encrypted:
            encrypted.sendall(f"GET / HTTP/1.1\r\nhost: {SHOP}\r\nconnection: close\r\n\r\n".encode())
            return b"".join(iter(partial(encrypted.recv, 65_536), b""))


async def test_tls_behind_the_proxy_protocol(edge: Edge) -> None:
    """The balancer speaks before the handshake begins, and there is none without it."""
    said = await asyncio.to_thread(over_tls, edge, b"PROXY TCP4 192.0.2.1 127.0.0.1 40000 443\r\n")
    assert b'"x-forwarded-for": "192.0.2.1"' in said
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.to_thread(over_tls, edge, b"")


async def test_bytes_as_they_are(edge: Edge) -> None:
    """What is no HTTP to the gateway is to the backend: no header is added."""
    for port in (8005, 8006):
        assert "x-request-id" not in (await edge.plain(port, "/", SHOP)).json()["headers"]


async def test_new_certificates() -> None:
    """Swapped as Kubernetes does it; a pair that does not fit is not taken up."""
    async with running_edge() as edge:
        edge.secrets["shop"].swap(edge.authority.member("next", SHOP))
        await until_shown(edge, "CN=next")
        mixed = edge.authority.member("mixed", SHOP)
        (mixed / "tls.key").write_bytes((edge.authority.member("another", SHOP) / "tls.key").read_bytes())
        failed = r"sds\.https/certificate/0\.key_rotation_failed"
        edge.secrets["shop"].swap(mixed)
        await until(partial(has_failed, edge, failed), True, failed)
        assert await edge.shown(SHOP) == "CN=next"
        edge.secrets["api"].swap(edge.authority.member("newer", API))
        edge.secrets["shop"].swap(edge.authority.member("last", SHOP))
        await until_shown(edge, "CN=last")
        await until_shown(edge, "CN=newer", "v1.api.example.com")


async def test_files_that_are_not_there() -> None:
    """Envoy refuses the secret in words that name the file, and what ran before goes on."""
    async with running_edge() as edge:
        with short_folder() as elsewhere:
            wrong = snapshot(elsewhere, edge.ports)
            edge.plane.cache.set("edge", wrong)
            outcome = await edge.plane.ledger.wait_acked("edge", wrong, (types.SECRET,), 10)
        (words,) = outcome.refused.values()
        assert str(elsewhere) in words
        assert await edge.shown(SHOP) == "CN=shop"


async def has_failed(edge: Edge, counter: str) -> bool:
    """Whether Envoy has seen files that it could not take; how often it looks at them is its business."""
    return await edge.envoy.stat(counter) > 0


async def until_shown(edge: Edge, subject: str, name: str = SHOP) -> None:
    """Wait for a certificate."""
    await until(lambda: edge.shown(name), subject, subject)


async def until(ask: Callable[[], Awaitable[object]], wanted: object, what: str) -> None:
    """Wait for an answer."""
    for _ in range(200):
        if (seen := await ask()) == wanted:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{what}: still {seen}")
