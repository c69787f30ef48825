"""The door: nothing behind it without credentials, limits that one address can't turn against others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from controlplane.admin.security.certificates import CertificateRoles
from controlplane.admin.security.guard import Guard
from controlplane.admin.security.headers import local_hosts
from controlplane.admin.security.identity import Credentials, FirstThatKnows, Identity, Role, Unprovable
from controlplane.admin.security.limits import Rate
from servicekit.address import parse_address
from tests.unit.controlplane.admin.security.test_limits import Clock


class Known:
    """Knows bearers by heart."""

    def __init__(self) -> None:
        self.names = {"alice": Role.VIEWER, "bob": Role.ADMIN}
        self.down = False

    async def identify(self, credentials: Credentials) -> Identity | None:
        """Who has that name."""
        if self.down:
            raise Unprovable("down")
        role = self.names.get(credentials.bearer or "")
        return (
            None
            if role is None
            else Identity(name=str(credentials.bearer), method="t", role=role, key=str(credentials.bearer))
        )


class Door:
    """A guard before an application that says who came."""

    def __init__(self, hosts: frozenset[str] | None = None, names: tuple[str, ...] = ()) -> None:
        self.clock, self.known = Clock(), Known()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            identity = getattr(Request(scope).state, "identity", None)
            await JSONResponse({"who": identity.name if identity else None})(scope, receive, send)

        guard = Guard(
            app,
            authenticator=FirstThatKnows((self.known, CertificateRoles({"*.ops.example": Role.OPERATOR}))),
            caller=Rate(5, 1),
            address=Rate(50, 1),
            failure=Rate(3, 0.1),
            hosts=hosts,
            clock=self.clock,
        )

        async def with_certificate(scope: Scope, receive: Receive, send: Send) -> None:
            await guard({**scope, "gateway.client_names": names}, receive, send)

        self._app = with_certificate

    async def ask(
        self,
        bearer: str | None = None,
        *,
        path: str = "/api/v1/x",
        host: str = "localhost",
        address: str = "192.0.2.1",
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
    ) -> httpx.Response:
        """One request."""
        given = {
            "host": host,
            **(headers or {}),
            **({"authorization": f"Bearer {bearer}"} if bearer is not None else {}),
        }
        transport = httpx.ASGITransport(self._app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, headers=given)


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1/status", "/anything", "/health", "/metrics/", "/health/live/"])
async def test_all_but_health_and_metrics_is_closed(path: str) -> None:
    """401 with a challenge; a token that is none is told so."""
    door = Door()
    refused = await door.ask(path=path)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="gateway"')
    assert 'error="invalid_token"' in (await door.ask("mallory", path=path)).headers["www-authenticate"]
    assert (await door.ask("alice", path=path)).json() == {"who": "alice"}


async def test_health_and_metrics_are_open() -> None:
    """Whoever asks, and however often."""
    door = Door()
    for _ in range(60):
        for path in ("/health/live", "/health/ready", "/health/startup", "/metrics"):
            assert (await door.ask(path=path)).json() == {"who": None}


async def test_who_fails_often_waits_and_nobody_else_does() -> None:
    """Neither another address, nor who was let in from this one lately; and the wait ends."""
    door = Door()
    assert (await door.ask("alice")).status_code == 200
    statuses = [(await door.ask("mallory")).status_code for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    refused = await door.ask("bob")  # right, but never seen here: it could be a guess
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
    assert (await door.ask("bob", address="192.0.2.2")).status_code == 200
    assert (await door.ask("alice")).status_code == 200
    door.clock.now += 10
    assert (await door.ask("bob")).status_code == 200


async def test_a_caller_has_a_rate_wherever_they_ask_from() -> None:
    """429 with Retry-After, for them only."""
    door = Door()
    statuses = [(await door.ask("alice", address=f"192.0.2.{n}")).status_code for n in range(6)]
    assert statuses == [200] * 5 + [429]
    assert (await door.ask("bob")).status_code == 200


async def test_an_address_has_a_rate() -> None:
    """Counted by the connection, whatever the headers say."""
    door = Door()
    for number in range(50):
        await door.ask("bob", headers={"x-forwarded-for": f"198.51.100.{number}"})
    assert (await door.ask("alice", headers={"x-forwarded-for": "203.0.113.1"})).status_code == 429
    assert (await door.ask("alice", address="192.0.2.9")).status_code == 200


async def test_what_cannot_be_told_is_not_a_no() -> None:
    """503, and no failure is counted."""
    door = Door()
    door.known.down = True
    for _ in range(5):
        assert (await door.ask("alice")).status_code == 503
    door.known.down = False
    assert (await door.ask("alice")).status_code == 200


async def test_names_come_from_tls_and_from_nowhere_else() -> None:
    """A header of any such name changes nothing."""
    spoofed = {"gateway.client_names": "a.ops.example", "x-forwarded-client-cert": "DNS=a.ops.example"}
    assert (await Door().ask(headers=spoofed)).status_code == 401
    assert (await Door(names=("a.ops.example",)).ask()).json() == {"who": "certificate:a.ops.example"}


async def test_a_bearer_that_is_wrong_is_not_made_good_by_a_certificate() -> None:
    """Who names a token means it."""
    assert (await Door(names=("a.ops.example",)).ask("mallory")).status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8001", 200),
        ("127.0.0.1:8001", 200),
        ("[::1]:8001", 200),
        ("LOCALHOST", 200),
        ("evil.example", 421),
        ("localhost.evil.example:8001", 421),
        ("", 421),
    ],
)
async def test_a_server_of_this_machine_is_called_by_a_local_name(host: str, status: int) -> None:
    """Else a page on the web could ask it in its own name (DNS rebinding)."""
    door = Door(hosts=local_hosts(parse_address("127.0.0.1:8001")))
    assert (await door.ask("alice", host=host)).status_code == status
    assert (await door.ask(host=host, path="/metrics")).status_code == status
    assert local_hosts(parse_address("0.0.0.0:8001")) is None


async def test_every_answer_is_for_nobodys_cache() -> None:
    """Errors too."""
    for answer in (await Door().ask(), await Door().ask("alice")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_head_is_get_without_content() -> None:
    """With the length that it would have."""
    answer = await Door().ask("alice", method="HEAD")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Basic YTpi", "bearer " + "x" * 9000, "alice"])
async def test_other_authorizations_are_none(value: str) -> None:
    """401."""
    assert (await Door().ask(headers={"authorization": value})).status_code == 401


def test_certificate_names_are_matched_whole() -> None:
    """A star is one label."""
    roles = CertificateRoles(
        {"*.ops.example": Role.OPERATOR, "root.ops.example": Role.ADMIN, "spiffe://x/a*": Role.VIEWER}
    )

    def role(*names: str) -> Role | None:
        found = asyncio.run(roles.identify(Credentials(names=names)))
        assert found is not None
        return found.role

    assert role("a.ops.example") is Role.OPERATOR
    assert role("a.b.ops.example") is None
    assert role("aXops.example") is None
    assert role("a.ops.example", "root.ops.example") is Role.ADMIN
    assert role("spiffe://x/ab") is Role.VIEWER
