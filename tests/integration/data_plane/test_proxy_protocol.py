"""Listeners behind balancers that speak the PROXY protocol: whose address counts, and who is not heard."""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Iterator

import pytest

from controlplane.model import AddressRules, Authorization, Gateway, ProxyProtocol
from ext_authz.client_address import client_address
from tests.harness import gateways as g
from tests.harness.plane import Plane, running_plane
from tests.harness.ports import free_port
from tests.harness.processes import wait_for

ONLY_V2, OPTIONAL, OTHERS, BEHIND = (free_port() for _ in range(4))
LOOPBACK = ("127.0.0.0/8",)
V2 = b"\r\n\r\n\x00\r\nQUIT\n"


def v1(client: str) -> bytes:
    """The line of version 1."""
    family = "TCP6" if ":" in client else "TCP4"
    own = "::1" if ":" in client else "127.0.0.1"
    return f"PROXY {family} {client} {own} 40000 80\r\n".encode()


def v2(client: str) -> bytes:
    """The same in version 2."""
    source = ipaddress.ip_address(client)
    own = ipaddress.ip_address("::1" if source.version == 6 else "127.0.0.1")
    addresses = source.packed + own.packed + (40000).to_bytes(2) + (80).to_bytes(2)
    return V2 + bytes([0x21, 0x21 if source.version == 6 else 0x11]) + len(addresses).to_bytes(2) + addresses


LOCAL = V2 + b"\x20\x00\x00\x00"
"""A connection of the balancer's own, as its health checks are."""


def make(port: int, backend: int) -> Gateway:
    """One listener for each way of listening, and routes that ask for the client's address."""
    asked = g.route(
        "/",
        authenticate=("platform",),
        authorization=Authorization(client_ips=("192.0.2.0/24",)),
        rate_limits=("per-ip",),
    )
    return g.gateway(
        g.route("/inside", addresses=AddressRules(allow=("192.0.2.0/24", "2001:db8::/32"))),
        asked,
        listeners=(
            g.listener(port, proxy_protocol=ProxyProtocol(balancers=LOOPBACK), addresses=AddressRules(allow=LOOPBACK)),
            g.listener(ONLY_V2, name="v2", proxy_protocol=ProxyProtocol(balancers=LOOPBACK, versions=("v2",))),
            g.listener(OPTIONAL, name="optional", proxy_protocol=ProxyProtocol(balancers=LOOPBACK, optional=True)),
            g.listener(OTHERS, name="others", proxy_protocol=ProxyProtocol(balancers=("192.0.2.0/24",))),
            g.listener(BEHIND, name="behind", trusted_proxies=1, proxy_protocol=ProxyProtocol(balancers=LOOPBACK)),
        ),
        upstreams=(g.upstream(port=backend),),
        identity_providers=(g.jwt_provider(),),
        rate_limits=(g.rate_limit(),),
    )


@pytest.fixture(scope="module")
def plane() -> Iterator[Plane]:
    """One Envoy for all tests here."""
    with running_plane(make) as running:
        yield running


def answer(port: int, first: bytes, path: str = "/", headers: str = "") -> tuple[int, bytes]:
    """Status and body of a request behind these bytes; 0 when the connection is closed without an answer."""
    request = f"GET {path} HTTP/1.1\r\nhost: a\r\n{headers}connection: close\r\n\r\n".encode()
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        try:
            raw.sendall(first + request)
            while piece := raw.recv(65_536):
                received += piece
        except ConnectionError:
            pass
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]) if head else 0, body


def limited(plane: Plane) -> set[str]:
    """Whom the rate-limit service was asked about; on a busy machine Envoy does not wait until it has heard."""
    asked = [request.descriptors[0].entries for request in plane.limiter.asked]
    return {entry.value for entries in asked for entry in entries if entry.key == "ip"}


def first_port(plane: Plane) -> int:
    """Of the listener that understands both versions."""
    port = plane.client.base_url.port
    assert port is not None
    return port


@pytest.mark.parametrize("header", [v1, v2])
@pytest.mark.parametrize("client", ["192.0.2.1", "2001:db8::1"])
def test_the_clients_address(plane: Plane, header: object, client: str) -> None:
    """The one that the balancer says, for limits, for authorization, for the log and for the upstream."""
    first = header(client)  # type: ignore[operator]  # one of the two above
    status, body = answer(first_port(plane), first, headers="x-forwarded-for: 6.6.6.6\r\n")
    assert status == 200
    assert client_address(plane.authz.asked[-1].attributes) == client
    wait_for(lambda: client in limited(plane) or None, seconds=10, what="the limiter is asked")
    assert plane.envoy.logged(client_ip=client, path="/")["status"] == 200
    assert json.loads(body)["headers"]["x-forwarded-for"] == client


@pytest.mark.parametrize(("client", "status"), [("192.0.2.9", 200), ("198.51.100.9", 403), ("2001:db9::1", 403)])
def test_addresses_of_a_route_are_the_clients(plane: Plane, client: str, status: int) -> None:
    """While those of the listener are the balancer's."""
    assert answer(first_port(plane), v2(client), "/inside")[0] == status


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"PROXY TCP4 192.0.2.1\r\n",
        b"PROXY TCP4 192.0.2.1 127.0.0.1 70000 80\r\n",
        b"proxy TCP4 192.0.2.1 127.0.0.1 40000 80\r\n",
        v2("192.0.2.1")[:13] + b"\x31" + v2("192.0.2.1")[14:],
        v2("192.0.2.1")[:14] + b"\x00\x01\x00\x04",
    ],
    ids=["none", "half a line", "no port", "another case", "no version", "no address"],
)
def test_nothing_else_is_read(plane: Plane, first: bytes) -> None:
    """Closed without an answer, and nothing reaches the backend."""
    before = len(plane.echo.requests)
    assert answer(first_port(plane), first) == (0, b"")
    assert len(plane.echo.requests) == before


def test_only_some_versions(plane: Plane) -> None:
    """The other one is as good as none."""
    assert answer(ONLY_V2, v1("192.0.2.1"))[0] == 0
    assert answer(ONLY_V2, v2("192.0.2.1"))[0] == 200


def test_optional(plane: Plane) -> None:
    """Who begins without it is the client."""
    assert answer(OPTIONAL, b"", "/inside")[0] == 403
    assert plane.envoy.logged(path="/inside", client_ip="127.0.0.1")
    assert answer(OPTIONAL, v1("192.0.2.44"), "/inside")[0] == 200
    assert plane.envoy.logged(path="/inside", client_ip="192.0.2.44")


def test_only_of_stated_balancers(plane: Plane) -> None:
    """Others are not heard, whoever they say they are."""
    before = len(plane.echo.requests)
    for first in (b"", v1("192.0.2.1"), v2("192.0.2.1")):
        assert answer(OTHERS, first) == (0, b"")
    assert len(plane.echo.requests) == before


def test_connections_of_the_balancers_own(plane: Plane) -> None:
    """Its health checks have no client but itself."""
    assert answer(first_port(plane), LOCAL, "/health")[0] == 200
    assert answer(first_port(plane), b"PROXY UNKNOWN\r\n", "/health")[0] == 200


def test_a_proxy_behind_the_balancer(plane: Plane) -> None:
    """Is the one that the balancer names; what it says of the client counts then."""
    assert answer(BEHIND, v2("198.51.100.7"), "/inside", "x-forwarded-for: 192.0.2.5\r\n")[0] == 200
    assert answer(BEHIND, v2("192.0.2.7"), "/inside", "x-forwarded-for: 198.51.100.5\r\n")[0] == 403
