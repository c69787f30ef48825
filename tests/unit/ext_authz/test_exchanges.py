"""One exchange for each refresh token at a time, and not too many at all."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from ext_authz import exchanges, questions
from ext_authz.exchanges import Away, Exchanges, Refused
from ext_authz.issuer_client import IssuerEndpoint, IssuerError
from ext_authz.token_endpoint import RefreshRefusedError, Renewed
from tests.harness.xds import eventually
from tests.unit.ext_authz.builders import Clock

ENDPOINT = IssuerEndpoint(uri="https://id.example.com/token", client_id="gateway")
RENEWED = Renewed(access_token="a", expires_in=None, refresh_token=None)


class Issuer:
    """Answers when a test lets it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def exchange(self, _endpoint: IssuerEndpoint, refresh_token: str) -> Renewed:
        """As :class:`ExchangeTokens`."""
        self.asked.append(refresh_token)
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return RENEWED


class World:
    """Exchanges, and what was counted."""

    def __init__(self) -> None:
        self.issuer, self.clock, self.counted = Issuer(), Clock(), Counter[str]()
        self.exchanges = Exchanges(endpoints=self.issuer, clock=self.clock, count=self._count)

    def _count(self, _provider: str, outcome: str) -> None:
        self.counted[outcome] += 1

    async def ask(self, token: str = "r", patience: float = 5) -> object:
        """One request."""
        return await self.exchanges.exchange("customers", ENDPOINT, token, patience)


async def test_what_was_given_is_kept_for_a_while() -> None:
    """And asked for anew after that; a refusal is kept as well."""
    w = World()
    w.issuer.may_answer.set()
    assert await w.ask() is RENEWED
    assert await w.ask() is RENEWED
    assert w.issuer.asked == ["r"]
    w.clock.now += exchanges.KEPT_SECONDS + 1
    w.issuer.error = RefreshRefusedError()
    assert await w.ask() == Refused()
    assert await w.ask() == Refused()
    assert w.issuer.asked == ["r", "r"]
    assert w.counted == {"success": 1, "refused": 1}


async def test_a_failure_is_not_kept() -> None:
    """The next request asks again."""
    w = World()
    w.issuer.may_answer.set()
    w.issuer.error = IssuerError("away")
    assert await w.ask() == Away()
    w.issuer.error = None
    assert await w.ask() is RENEWED
    assert w.counted == {"failure": 1, "success": 1}


async def test_who_has_no_patience() -> None:
    """Goes, and the exchange goes on for who comes next."""
    w = World()
    assert await w.ask(patience=0) == Away()
    w.issuer.may_answer.set()
    assert await w.ask() is RENEWED
    assert w.issuer.asked == ["r"]


async def test_not_too_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """More are refused at once, and those that run are ended with the service."""
    monkeypatch.setattr(questions, "MOST_AT_ONCE", 2)
    w = World()
    waiting = [asyncio.create_task(w.ask(token)) for token in ("one", "two", "one")]
    await eventually(lambda: len(w.issuer.asked) == 2, "two are asked")
    assert await w.ask("three") == Away()
    assert sorted(w.issuer.asked) == ["one", "two"]
    await w.exchanges.aclose()
    assert all(isinstance(one, BaseException) for one in await asyncio.gather(*waiting, return_exceptions=True))
