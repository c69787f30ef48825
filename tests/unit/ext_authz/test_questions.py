"""Questions to issuers: one for each thing at a time, a bound for each issuer, and a log that is not flooded."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from ext_authz import questions
from ext_authz.issuer_client import IssuerError
from ext_authz.questions import Questions


async def answer() -> str:
    """An issuer that is well."""
    return "answer"


async def away() -> str:
    """An issuer that is not."""
    raise IssuerError("answered 500")


async def hang() -> str:
    """An issuer that says nothing."""
    await asyncio.Event().wait()
    raise AssertionError


async def test_an_issuer_that_hangs_is_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """It uses up what may be asked of itself; the others have as much."""
    monkeypatch.setattr(questions, "MOST_AT_ONCE", 2)
    asked: Questions[str] = Questions("question")
    for number in range(2):
        assert await asked.ask("hanging", bytes([number]), hang, patience=0) is None
    assert await asked.ask("hanging", b"third", answer, patience=5) is None
    assert await asked.ask("other", b"first", answer, patience=5) == "answer"
    await asked.aclose()
    assert await asked.ask("hanging", b"third", answer, patience=5) == "answer"


async def test_the_log_tells_what_changed() -> None:
    """Not every request that fails: whoever sends tokens would write the log."""
    asked: Questions[str] = Questions("token introspection")
    with capture_logs() as lines:
        for question in (answer, away, away, away, answer, answer, away):
            await asked.ask("partners", b"digest", question, patience=5)
    assert [(line["event"], line["provider"]) for line in lines] == [
        ("token introspection fails", "partners"),
        ("token introspection works again", "partners"),
        ("token introspection fails", "partners"),
    ]
    assert lines[0]["reason"] == "answered 500"


async def test_a_question_that_has_no_patience_goes_on() -> None:
    """Its answer is for who asks next, and who asks the same does not ask again."""
    asked: Questions[str] = Questions("question")
    may_answer, count = asyncio.Event(), 0

    async def ask_slowly() -> str:
        nonlocal count
        count += 1
        await may_answer.wait()
        return "late"

    assert await asked.ask("one", b"same", ask_slowly, patience=0) is None
    next_one = asyncio.create_task(asked.ask("one", b"same", ask_slowly, patience=5))
    await asyncio.sleep(0)
    may_answer.set()
    assert await next_one == "late"
    assert count == 1
