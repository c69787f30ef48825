"""``gateway events``: what is printed, and what becomes of a connection that is lost."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from gateway.cli import events
from gateway.cli.event_stream import ServerEvent
from gateway.cli.output import Output
from tests.harness.command import command
from tests.harness.http_answers import Answered, Asked, http_answers

SSE = {"content-type": "text/event-stream"}


def stream(*numbers: int) -> Answered:
    """Some events, and then the connection ends."""
    data = json.dumps({"at": "2026-01-01T00:00:00+00:00", "group": "edge"})
    body = ": hello\n\n" + "".join(f"id: run-{number}\nevent: live\ndata: {data}\n\n" for number in numbers)
    return Answered(headers=SSE, body=body.encode())


def test_a_lost_connection_goes_on_where_it_broke_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the control plane is away for a while, or not ready when it is back."""
    monkeypatch.setattr(events, "_FIRST_PAUSE", 0.01)
    lost = stream(3)
    lost.cut_off = True
    answers = iter([stream(1, 2), Answered(status=503, body=b"{}"), lost, Answered(status=429, body=b"{}"), stream(4)])
    with http_answers(lambda _: next(answers)) as (url, asked):
        done = command("events", "--count", "4", "--output", "json", env={"GATEWAY_ADMIN_URL": url})
    assert done.code == 0, done.err
    assert [json.loads(line)["id"] for line in done.out.splitlines()] == ["run-1", "run-2", "run-3", "run-4"]
    assert [request.headers.get("last-event-id") for request in asked] == [None, "run-2", "run-2", "run-3", "run-3"]


@pytest.mark.parametrize("status", [401, 403, 503])
def test_a_refusal_at_first_is_the_end(status: int) -> None:
    """Nobody waits for a gateway that is not there, or that has revoked the token."""
    with http_answers(lambda _: Answered(status=status, body=b"{}")) as (url, asked):
        assert command("events", env={"GATEWAY_ADMIN_URL": url}).code == 1
    assert len(asked) == 1


def test_a_token_that_ends_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next connection is refused."""
    monkeypatch.setattr(events, "_FIRST_PAUSE", 0.01)
    answers = iter([stream(1), Answered(status=401, body=b'{"detail": "No."}')])
    with http_answers(lambda _: next(answers)) as (url, _):
        done = command("events", env={"GATEWAY_ADMIN_URL": url})
    assert (done.code, done.err) == (1, "gateway: No.\n")
    assert done.out == "2026-01-01T00:00:00+00:00 live group=edge\n"


def test_it_can_begin_after_an_event() -> None:
    """One that is known from before."""
    asked_for: list[str | None] = []

    def answer(asked: Asked) -> Answered:
        asked_for.append(asked.headers.get("last-event-id"))
        return stream(8)

    with http_answers(answer) as (url, _):
        command("events", "--after", "run-7", "--count", "1", env={"GATEWAY_ADMIN_URL": url})
    assert asked_for == ["run-7"]


@given(st.text(max_size=30), st.text(max_size=10), st.sampled_from(list(Output)))
def test_every_event_is_one_line(text: str, kind: str, output: Output) -> None:
    """Whatever its data are; of YAML, one document."""
    import typer

    app = typer.Typer()

    @app.command()
    def show() -> None:
        for data in (text, json.dumps(text), json.dumps({"at": text, text: text}), json.dumps([text])):
            event = events.read_event(ServerEvent(id="1", kind=kind or "message", data=data))
            events.print_event(event, output)

    out = CliRunner().invoke(app, [], catch_exceptions=False).stdout
    if output is not Output.YAML:
        assert out.count("\n") == 4
    assert all(character.isprintable() or character == "\n" for character in out)
