"""Several replicas exchange one refresh token once, over a real Valkey that may go away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from pydantic import SecretStr

from ext_authz import shared_exchanges
from ext_authz.issuer_client import IssuerEndpoint, IssuerError
from ext_authz.shared_exchanges import SharedExchanges, _opened, _sealed
from ext_authz.token_endpoint import RefreshRefusedError, Renewed
from servicekit.redis_client import redis_client
from tests.harness.valkey import Valkey, running_valkey

ENDPOINT = IssuerEndpoint(uri="https://id.example.com/token", client_id="gateway")


class Issuer:
    """Takes each refresh token once, slowly."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error: Exception | None = None
        self.has_been_asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.may_answer.set()

    async def exchange(self, _endpoint: IssuerEndpoint, refresh_token: str) -> Renewed:
        """As :class:`ExchangeTokens`."""
        self.asked.append(refresh_token)
        self.has_been_asked.set()
        await asyncio.sleep(0.2)
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return Renewed(access_token=f"a{len(self.asked)}", expires_in=60, refresh_token="next")


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    """One server."""
    with running_valkey() as server:
        yield server


@asynccontextmanager
async def replicas(server: Valkey, issuer: Issuer, count: int = 3) -> AsyncIterator[list[SharedExchanges]]:
    """So many."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            client = redis_client(SecretStr(server.url), deadline=shared_exchanges.CALL_DEADLINE)
            made.append(SharedExchanges(inner=issuer, client=client))
            stack.push_async_callback(made[-1].aclose)
        yield made


async def test_one_asks_and_all_know(valkey: Valkey) -> None:
    """At once, and late; another token is another question."""
    issuer = Issuer()
    async with replicas(valkey, issuer) as all_of_them:
        found = await asyncio.gather(*(one.exchange(ENDPOINT, "r1") for one in all_of_them for _ in range(5)))
        assert len({str(one.access_token) for one in found}) == 1
        assert (await all_of_them[2].exchange(ENDPOINT, "r1")).refresh_token == "next"
        assert issuer.asked == ["r1"]
        await all_of_them[0].exchange(ENDPOINT, "r2")
        assert issuer.asked == ["r1", "r2"]
    stored = [valkey.command("GET", key) for key in str(valkey.command("KEYS", "gateway:refresh:*")).split()]
    assert "next" not in str(stored)


async def test_a_refusal_is_known_too(valkey: Valkey) -> None:
    """Nobody asks again; a failure is nobody's outcome, and the next one asks."""
    issuer = Issuer()
    async with replicas(valkey, issuer) as (one, other, _):
        issuer.error = RefreshRefusedError()
        for replica in (one, other):
            with pytest.raises(RefreshRefusedError):
                await replica.exchange(ENDPOINT, "refused")
        assert issuer.asked == ["refused"]
        issuer.error = IssuerError("away")
        with pytest.raises(IssuerError):
            await one.exchange(ENDPOINT, "later")
        issuer.error = None
        assert (await other.exchange(ENDPOINT, "later")).access_token
        assert issuer.asked == ["refused", "later", "later"]


async def test_nobody_asks_beside_another(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits in vain for another replica gives up: a second use would end the session."""
    monkeypatch.setattr(shared_exchanges, "DEADLINE", 0.1)
    issuer = Issuer()
    issuer.may_answer.clear()
    async with replicas(valkey, issuer, 2) as (one, other):
        first = asyncio.create_task(one.exchange(ENDPOINT, "slow"))
        await issuer.has_been_asked.wait()
        with pytest.raises(IssuerError, match="another replica"):
            await other.exchange(ENDPOINT, "slow")
        issuer.may_answer.set()
        assert (await first).access_token
    assert issuer.asked == ["slow"]


async def test_without_redis() -> None:
    """Each replica asks for itself, and soon."""
    issuer = Issuer()
    with running_valkey() as own:
        async with replicas(own, issuer, 2) as (one, other):
            own.kill()
            began = asyncio.get_running_loop().time()
            await one.exchange(ENDPOINT, "r")
            await other.exchange(ENDPOINT, "r")
            assert asyncio.get_running_loop().time() - began < 3
            own.start()
            own.pause()
            await one.exchange(ENDPOINT, "s")
            own.resume()
    assert issuer.asked == ["r", "r", "s"]


def test_what_is_left_is_sealed() -> None:
    """With the refresh token alone it can be opened; what was tampered with is an error in words."""
    sealed = _sealed(Renewed(access_token="a.b.c", expires_in=None, refresh_token=None), "r1")
    assert b"a.b.c" not in sealed
    assert json.dumps("a.b.c").encode() not in sealed
    assert _opened(sealed, "r1").access_token == "a.b.c"
    for wrong, token in ((sealed, "r2"), (sealed[:-1], "r1"), (sealed[::-1], "r1"), (b"", "r1"), (b"x" * 12, "r1")):
        with pytest.raises(IssuerError):
            _opened(wrong, token)
