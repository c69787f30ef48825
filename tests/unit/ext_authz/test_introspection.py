"""What introspection endpoints answer, and what is remembered of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext_authz import questions
from ext_authz.introspection import Active, Inactive, Introspection, Introspections, read_introspection
from ext_authz.issuer_client import IssuerClient, IssuerEndpoint, IssuerError
from tests.harness.xds import eventually
from tests.unit.ext_authz.builders import Clock

ASKED = Introspection(
    provider="partners", endpoint=IssuerEndpoint(uri="https://id.example.com/i", client_id="g"), ttl=60
)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"{}", b'{"active": 1}', b'{"active": "true"}', b"\xff"])
def test_what_says_nothing_is_the_issuers_fault(body: bytes) -> None:
    """And no token's."""
    with pytest.raises(IssuerError):
        read_introspection(200, body)


@given(st.sampled_from([200, 401, 500]), st.binary() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_reading_takes_anything(status: int, body: bytes | str) -> None:
    """Whatever comes is an answer or an error in words."""
    with suppress(IssuerError):
        read_introspection(status, body if isinstance(body, bytes) else body.encode())


def test_answers() -> None:
    """The members of an active one are its claims; whether it is active is not among them."""
    assert read_introspection(200, b'{"active": true, "sub": "alice"}') == Active({"sub": "alice"})
    assert read_introspection(200, b'{"active": false, "sub": "alice"}') == Inactive()
    for status in (201, 302, 401, 500):
        with pytest.raises(IssuerError, match=str(status)):
            read_introspection(status, b'{"active": true}')


class Issuer:
    """Answers when a test lets it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.active = {"good"}
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def post(self, _endpoint: IssuerEndpoint, form: dict[str, str]) -> tuple[int, bytes]:
        """As :class:`IssuerClient`."""
        self.asked.append(form["token"])
        await self.may_answer.wait()
        return 200, json.dumps({"active": form["token"] in self.active}).encode()


class World:
    """Introspections, and what was counted."""

    def __init__(self, entries: int = 100) -> None:
        self.issuer, self.wall, self.counted = Issuer(), Clock(), Counter[str]()
        self.all = Introspections(
            client=cast("IssuerClient", self.issuer), wall=self.wall, count=self._count, entries=entries
        )

    def _count(self, _provider: str, outcome: str) -> None:
        self.counted[outcome] += 1

    async def ask(self, token: str, patience: float = 5) -> Any:
        """What is known of a token, after asking if need be."""
        if self.all.known(ASKED, token) is None:
            await self.all.obtain(ASKED, token, patience=patience)
        return self.all.known(ASKED, token)


async def test_an_answer_counts_for_its_time() -> None:
    """Then the issuer is asked again; one that is not active shortly."""
    w = World()
    assert await w.ask("good") == Active({}, until=w.wall.now + 60)
    assert await w.ask("bad") == Inactive()
    w.wall.now += 4
    await w.ask("good")
    await w.ask("bad")
    assert w.issuer.asked == ["good", "bad"]
    w.wall.now += 2
    await w.ask("bad")
    w.wall.now += 55
    await w.ask("good")
    assert w.issuer.asked == ["good", "bad", "bad", "good"]
    assert w.counted == {"active": 2, "inactive": 2}


async def test_invented_tokens_push_out_none_that_is_good() -> None:
    """However many there are; of them only a few are remembered."""
    w = World(entries=20)
    await w.ask("good")
    for number in range(100):
        await w.ask(f"invented {number}")
    assert isinstance(w.all.known(ASKED, "good"), Active)
    assert w.all.known(ASKED, "invented 0") is None
    assert w.all.known(ASKED, "invented 99") == Inactive()


async def test_one_question_for_each_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask; not too many at a time; who has no patience goes, and the answer comes all the same."""
    monkeypatch.setattr(questions, "MOST_AT_ONCE", 1)
    w = World()
    w.issuer.may_answer.clear()
    waiting = [asyncio.create_task(w.ask("good")) for _ in range(50)]
    await eventually(lambda: w.issuer.asked == ["good"], "it was asked")
    assert await w.ask("other") is None
    assert await w.ask("good", patience=0) is None
    w.issuer.may_answer.set()
    assert all(isinstance(found, Active) for found in await asyncio.gather(*waiting))
    assert w.issuer.asked == ["good"]


async def test_a_ttl_that_is_shortened_counts_at_once() -> None:
    """And not only for tokens that come after the change."""
    w = World()
    await w.ask("good")
    assert w.all.known(replace(ASKED, ttl=1), "good") is None


async def test_tokens_of_providers_are_kept_apart() -> None:
    """What one issuer says is not what another would."""
    w = World()
    await w.ask("good")
    other = Introspection(provider="others", endpoint=ASKED.endpoint, ttl=60)
    assert w.all.known(other, "good") is None
    await w.all.aclose()
