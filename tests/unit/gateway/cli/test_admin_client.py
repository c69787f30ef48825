"""HTTP calls: deadlines, certificates, refusals, and what a server that is none of ours may send."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.certificates import write_certificates
from gateway.cli import admin_client
from gateway.cli.admin_client import AdminClient, Body, LostError, Query, path_to
from gateway.cli.refusals import RefusedError
from gateway.cli.target import Target
from gateway.errors import CommandError
from tests.harness.http_answers import Answered, Asked, http_answers
from tests.harness.ports import free_port

TOKEN = SecretStr("s3cret-token")


@contextmanager
def client_of(target: Target) -> Iterator[AdminClient]:
    """A client that is closed."""
    client = AdminClient(target)
    try:
        yield client
    finally:
        client.close()


def say(**what: object) -> Answered:
    """One answer."""
    return Answered(**what)  # type: ignore[arg-type]  # the test's own words


def test_a_request_carries_what_was_given() -> None:
    """Token, query without what is none, body with its type, and the revision that has to be live."""
    with (
        http_answers(lambda _: say(body=b'{"a": 1}')) as (url, asked),
        client_of(Target(url=url, origin="test", token=TOKEN)) as client,
    ):
        query: Query = {"dry_run": True, "wait": 1.5, "message": "why not?", "q": None}
        assert client.send("PUT", "/document", query=query, body=Body.of([1]), if_match=7) == {"a": 1}
    (request,) = asked
    assert (request.method, request.path) == ("PUT", "/api/v1/document?dry_run=true&wait=1.5&message=why+not%3F")
    assert request.headers["authorization"] == "Bearer s3cret-token"
    assert (request.headers["if-match"], request.headers["content-type"]) == ('"7"', "application/json")
    assert request.body == b"[1]"


def test_names_of_any_characters_fit_into_a_path() -> None:
    """No name is another resource."""
    assert path_to("routes", "a/b?c#d ü", 3) == "/routes/a%2Fb%3Fc%23d%20%C3%BC/3"


def test_without_a_token_none_is_sent() -> None:
    """Not even an empty one."""
    with http_answers(lambda _: say()) as (url, asked), client_of(Target(url=url, origin="test")) as client:
        client.get("/status")
    assert "authorization" not in asked[0].headers


def test_an_answer_without_a_body_is_none() -> None:
    """As deletes have."""
    with (
        http_answers(lambda _: say(status=204, body=b"")) as (url, _),
        client_of(Target(url=url, origin="test")) as client,
    ):
        assert client.send("DELETE", "/tokens/1") is None


def test_a_redirect_is_not_followed() -> None:
    """The token would go where the answer says."""
    with (
        http_answers(lambda _: say(body=b"{}")) as (other, stolen),
        http_answers(lambda _: say(status=307, headers={"location": f"{other}/api/v1/status"})) as (url, _),
        client_of(Target(url=url, origin="test", token=TOKEN)) as client,
        pytest.raises(RefusedError, match="answered 307"),
    ):
        client.get("/status")
    assert stolen == []


def test_a_proxy_of_the_environment_is_not_asked_about_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would get the token."""
    with http_answers(lambda _: say()) as (proxy, stolen), http_answers(lambda _: say()) as (url, asked):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("ALL_PROXY", proxy)
        with client_of(Target(url=url, origin="test", token=TOKEN)) as client:
            client.get("/status")
    assert (len(asked), stolen) == (1, [])


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff", b'{"a":', b"[" * 100_000])
def test_something_else_that_answers_is_said(body: bytes) -> None:
    """Not an error of this program."""
    with (
        http_answers(lambda _: say(body=body)) as (url, _),
        client_of(Target(url=url, origin="test")) as client,
    ):
        if not body:
            assert client.get("/status") is None
            return
        with pytest.raises(CommandError, match="is not the admin API"):
            client.get("/status")


def test_an_answer_that_breaks_off_is_an_error() -> None:
    """An export that looks whole and is not would be worse than none."""
    with (
        http_answers(lambda _: say(body=b"line\n", cut_off=True)) as (url, _),
        client_of(Target(url=url, origin="test")) as client,
    ):
        with pytest.raises(LostError, match="broke off"):
            client.get("/status")
        with pytest.raises(LostError, match="broke off"), client.download("/export") as chunks:
            list(chunks)


def test_nobody_there_is_said_with_the_address() -> None:
    """And never the token."""
    url = f"http://127.0.0.1:{free_port()}"
    with (
        client_of(Target(url=url, origin="test", token=TOKEN)) as client,
        pytest.raises(LostError, match=f"the admin API at {url} does not answer") as error,
    ):
        client.get("/status")
    assert "s3cret" not in str(error.value)


def test_silence_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody accepts and never answers."""
    monkeypatch.setattr(admin_client, "DEADLINE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with client_of(Target(url=url, origin="test")) as client, pytest.raises(LostError, match="takes too long"):
            client.get("/status")


def test_a_trickle_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte now and then keeps no command waiting for ever."""
    monkeypatch.setattr(admin_client, "DEADLINE", 0.3)
    done = threading.Event()

    def trickle(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            while not done.wait(0.05):
                connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=trickle, args=(listening,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            with client_of(Target(url=url, origin="test")) as client, pytest.raises(LostError, match="in time"):
                client.get("/status")
        finally:
            done.set()
            thread.join(5)


def test_a_flood_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded."""
    monkeypatch.setattr(admin_client, "LARGEST_ANSWER", 1000)
    with (
        http_answers(lambda _: say(body=b" " * 100_000)) as (url, _),
        client_of(Target(url=url, origin="test")) as client,
        pytest.raises(CommandError, match="more than 1000 bytes"),
    ):
        client.get("/status")


def test_a_refusal_is_what_the_problem_document_says() -> None:
    """Its detail and its mistakes."""
    body = b'{"type": "urn:gateway:problem:x", "detail": "No.", "errors": [{"pointer": "/a", "message": "m"}]}'
    with (
        http_answers(lambda _: say(status=422, body=body)) as (url, _),
        client_of(Target(url=url, origin="test")) as client,
        pytest.raises(RefusedError) as error,
    ):
        client.get("/status")
    assert (error.value.status, error.value.code, str(error.value)) == (422, "x", "No.\n/a: m")


@pytest.mark.parametrize("content_type", ["application/json", ""])
def test_a_stream_of_events_says_that_it_is_one(content_type: str) -> None:
    """Otherwise it is somebody else's page."""
    with (
        http_answers(lambda _: say(headers={"content-type": content_type})) as (url, _),
        client_of(Target(url=url, origin="test")) as client,
        pytest.raises(CommandError, match="sends no events"),
        client.events(""),
    ):
        pass


def test_a_unix_socket_is_as_good(tmp_path: Path) -> None:
    """The admin API of a container's side-car."""
    with (
        http_answers(lambda _: say(body=b"[1]"), unix=tmp_path / "s") as (url, asked),
        client_of(Target(url=url, origin="test", token=TOKEN)) as client,
    ):
        assert client.get("/status") == [1]
    assert asked[0].headers["host"] == "localhost"


def test_both_sides_show_their_certificates(tmp_path: Path) -> None:
    """A private authority is trusted when it is named, and only then; who has no certificate is let in nowhere."""
    write_certificates(tmp_path, hosts=["127.0.0.1"], days=1)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    tls.load_verify_locations(tmp_path / "ca.crt")
    tls.verify_mode = ssl.CERT_REQUIRED
    with http_answers(lambda _: say(body=b"[1]"), tls=tls) as (url, asked):
        anonymous = Target(url=url, origin="test", token=TOKEN, ca=tmp_path / "ca.crt")
        named = replace(anonymous, client_certificate=tmp_path / "tls.crt", client_key=tmp_path / "tls.key")
        with client_of(named) as client:
            assert client.get("/status") == [1]
        with client_of(Target(url=url, origin="test", token=TOKEN)) as client, pytest.raises(LostError, match="verify"):
            client.get("/status")
        with client_of(anonymous) as client, pytest.raises(LostError):
            client.get("/status")
    assert len(asked) == 1


def test_a_certificate_that_cannot_be_read_is_a_problem_in_words(tmp_path: Path) -> None:
    """No traceback, no request."""
    target, missing = Target(url="https://127.0.0.1:1", origin="test"), tmp_path / "none.pem"
    for wrong in (replace(target, ca=missing), replace(target, client_certificate=missing)):
        with pytest.raises(CommandError, match=r"the certificates for https://127\.0\.0\.1:1"):
            AdminClient(wrong)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(status=st.sampled_from([200, 204, 400, 422, 500]), body=st.binary(max_size=60))
def test_whatever_answers_there_is_an_answer_or_words(status: int, body: bytes) -> None:
    """Any status with any body."""
    answer = say(status=status, body=b"" if status == 204 else body)

    def answered(_: Asked) -> Answered:
        return answer

    with (
        http_answers(answered) as (url, _),
        client_of(Target(url=url, origin="test")) as client,
        suppress(CommandError),
    ):
        client.get("/status")
