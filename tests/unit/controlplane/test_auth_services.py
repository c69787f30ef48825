"""Asking every ext_authz for its keys: who answers, who is slow, who is something else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from controlplane.auth_services import LARGEST_REPORT, Answered, AuthServices
from servicekit.contracts.key_report import KeyReport, ReportedSource
from tests.harness.idp import Reply, identity_provider

SOURCE = ReportedSource(
    provider="platform", location="https://id.example.com/jwks.json", keys=(), skipped=(), usable=False, age=None,
    next_refresh=0, usable_for=None, failures=1, last_error="ConnectError: refused",
)  # fmt: skip
REPORT = KeyReport(sources=(SOURCE,))


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """As the control plane has it."""
    async with httpx.AsyncClient(trust_env=False) as made:
        yield made


async def ask(client: httpx.AsyncClient, reply: Reply, *, deadline: float = 2.0) -> Answered:
    """The answer of a service that says ``reply``."""
    with identity_provider() as service:
        service.reply = reply
        (answered,) = await AuthServices([service.url.removesuffix("/jwks")], client=client, deadline=deadline).keys()
        assert service.calls in ([], ["/keys"])
    return answered


async def test_what_a_service_says_is_passed_on(client: httpx.AsyncClient) -> None:
    """As it said it."""
    answered = await ask(client, Reply(REPORT.encode()))
    assert (answered.report, answered.error) == (REPORT, None)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(b"no", status=404), "answered 404"),
        (Reply(b"<html>"), "does not answer as an ext_authz"),
        (Reply(b"x" * (LARGEST_REPORT + 1)), "more than"),
        (Reply(REPORT.encode(), delay=5), "no answer within"),
        (Reply(b"", status=302, headers={"location": "http://127.0.0.1:1/"}), "answered 302"),
    ],
    ids=["404", "not JSON", "too large", "too slow", "redirect"],
)
async def test_another_answer_is_an_error_of_that_service(client: httpx.AsyncClient, reply: Reply, words: str) -> None:
    """Told in words, within the deadline."""
    answered = await ask(client, reply, deadline=0.3)
    assert answered.report is None
    assert words in str(answered.error)


async def test_who_is_away_does_not_silence_the_others(client: httpx.AsyncClient) -> None:
    """A closed port and a name that does not exist, beside one that answers."""
    with identity_provider() as service:
        service.publish(REPORT.encode())
        targets = ["http://127.0.0.1:1", "http://no-such-host.invalid:1", f"http://127.0.0.1:{service.port}"]
        away, unknown, there = await AuthServices(targets, client=client).keys()
    assert away.error is not None
    assert away.service == "http://127.0.0.1:1"
    assert unknown.error is not None
    assert there.report == REPORT


async def test_each_address_of_a_name_is_a_service(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a headless Service: all pods are asked, each by its address."""

    async def several(url: httpx.URL) -> list[httpx.URL]:
        return [url.copy_with(host=host) for host in ("127.0.0.1", "127.0.0.2")]

    monkeypatch.setattr("controlplane.auth_services._addresses", several)
    with identity_provider() as service:
        service.publish(REPORT.encode())
        first, second = await AuthServices([f"http://ext-authz:{service.port}"], client=client).keys()
        assert first == Answered(f"http://127.0.0.1:{service.port}", REPORT, None)
    assert second.service == f"http://127.0.0.2:{service.port}"
    assert second.report is None
