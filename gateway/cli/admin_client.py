"""Every HTTP call of the command: to one admin API, each with a deadline, each refusal in words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from gateway.cli.http_connection import open_http, trouble
from gateway.cli.output import plain
from gateway.cli.refusals import read_refusal
from gateway.cli.target import Target, find_target
from gateway.errors import CommandError

DEADLINE = 30.0
"""Seconds for an answer, besides those that the API was asked to wait for nodes."""
LARGEST_ANSWER = 256 * 1024 * 1024
"""Bytes."""
SILENCE = 60.0
"""Seconds without a byte after which a stream counts as lost."""

YAML = "application/yaml"
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
_PREFIX = "/api/v1"

Query = Mapping[str, str | int | float | bool | list[str] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is sent."""

    content: bytes | Iterable[bytes]
    media_type: str = JSON

    @classmethod
    def of(cls, value: Any, media_type: str = JSON) -> Body:
        """A value as JSON."""
        return cls(content=json.dumps(value).encode(), media_type=media_type)


def path_to(*segments: str | int) -> str:
    """A path of the API with names of any characters in it."""
    return "".join(f"/{quote(str(segment), safe='')}" for segment in segments)


class AdminClient:
    """One admin API.

    Args:
        target: where it is, and the token.
        transport: what carries the requests, in place of the network.
    """

    def __init__(self, target: Target, *, transport: httpx.BaseTransport | None = None) -> None:
        self._target = target
        self._http = open_http(target, prefix=_PREFIX, accept=JSON, transport=transport)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, query: Query | None = None) -> Any:
        """The answer to ``GET path``.

        Raises:
            RefusedError: the API refuses.
            CommandError: nobody answers in time, or it is no admin API.
        """
        return self.send("GET", path, query=query)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Body | None = None,
        if_match: int | None = None,
        wait: float = 0.0,
    ) -> Any:
        """One request, and its answer; ``None`` for an answer without a body.

        Args:
            method: of HTTP.
            path: after ``/api/v1``.
            query: members that are ``None`` are left out.
            body: what is sent.
            if_match: the revision that has to be live still.
            wait: seconds for which the API was asked to wait for something.

        Raises:
            RefusedError: the API refuses.
            CommandError: nobody answers in time, or it is no admin API.
        """
        headers = {} if if_match is None else {"if-match": f'"{if_match}"'}
        with self._stream(method, path, query=query, body=body, headers=headers, seconds=DEADLINE + wait) as response:
            content = _read(response, time.monotonic() + DEADLINE + wait)
            if not response.is_success:
                raise read_refusal(response.status_code, content)
        return self._decoded(content)

    def text(self, path: str, *, accept: str) -> str:
        """The answer to ``GET path`` in another form than JSON.

        Raises:
            RefusedError: the API refuses.
            CommandError: nobody answers in time.
        """
        with self._stream("GET", path, headers={"accept": accept}, seconds=DEADLINE) as response:
            content = _read(response, time.monotonic() + DEADLINE)
            if not response.is_success:
                raise read_refusal(response.status_code, content)
        return content.decode("utf-8", errors="replace")

    @contextmanager
    def download(self, path: str, *, query: Query | None = None) -> Iterator[Iterable[bytes]]:
        """The body of a long answer, piece by piece. One that is cut off ends in an error.

        Raises:
            RefusedError: the API refuses.
            CommandError: nobody answers, or the answer breaks off.
        """
        with self._stream("GET", path, query=query, seconds=SILENCE) as response:
            if not response.is_success:
                raise read_refusal(response.status_code, _read(response, time.monotonic() + DEADLINE))
            yield response.iter_bytes()

    @contextmanager
    def events(self, last_id: str) -> Iterator[Iterable[bytes]]:
        """The bytes of the event stream, after the event ``last_id``; without one, of what is to come.

        Raises:
            RefusedError: the API refuses.
            LostError: nobody answers, or the stream breaks off.
        """
        headers = {"accept": "text/event-stream", **({"last-event-id": last_id} if last_id else {})}
        with self._stream("GET", "/events", headers=headers, seconds=SILENCE) as response:
            if not response.is_success:
                raise read_refusal(response.status_code, _read(response, time.monotonic() + DEADLINE))
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                raise CommandError(f"what answers at {plain(self._target.url)} sends no events")
            yield response.iter_bytes()

    @contextmanager
    def _stream(
        self,
        method: str,
        path: str,
        *,
        seconds: float,
        query: Query | None = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[httpx.Response]:
        sent = dict(headers or {})
        if body is not None:
            sent["content-type"] = body.media_type
        given = {name: _query_text(value) for name, value in (query or {}).items() if value is not None}
        timeout = httpx.Timeout(DEADLINE, read=seconds, connect=10.0)
        try:
            with self._http.stream(
                method,
                path,
                params=given,
                content=body.content if body is not None else None,
                headers=sent,
                timeout=timeout,
            ) as response:
                yield response
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            arrived = not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL))
            raise LostError(f"the admin API at {plain(self._target.url)} {trouble(error)}", arrived=arrived) from error

    def _decoded(self, content: bytes) -> Any:
        if not content:
            return None
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise CommandError(f"what answers at {plain(self._target.url)} is not the admin API") from error


class LostError(CommandError):
    """Nobody answers, or an answer broke off."""

    def __init__(self, text: str, *, arrived: bool = True) -> None:
        self.arrived = arrived
        """Whether the request may have arrived all the same."""
        super().__init__(text)


@contextmanager
def admin_client(context: str | None) -> Iterator[AdminClient]:
    """The admin API that is meant; see :func:`~gateway.cli.target.find_target`.

    Raises:
        CommandError: it is not known which, or its certificates cannot be read.
    """
    client = AdminClient(find_target(context))
    try:
        yield client
    finally:
        client.close()


def _read(response: httpx.Response, deadline: float) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise CommandError(f"the answer has more than {LARGEST_ANSWER} bytes")
        if time.monotonic() > deadline:
            raise LostError("the answer did not end in time")
    return bytes(body)


def _query_text(value: str | float | bool | list[str]) -> str | list[str]:
    if isinstance(value, list):
        return value  # the parameter is repeated
    return str(value).lower() if isinstance(value, bool) else str(value)
