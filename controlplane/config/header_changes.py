"""``request_headers`` and ``response_headers`` of a route: headers that are set, added and removed on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from controlplane.config.base import Section, mistake
from controlplane.config.own_headers import OwnHeader, check_reserved
from controlplane.config.problems import quoted, suggestion
from controlplane.config.texts import HeaderName, Unique

VARIABLES: Final = frozenset(
    {
        "client_ip",
        "host",
        "method",
        "path",
        "request_id",
        "route",
        "scheme",
        "scopes",
        "tier",
        "upstream",
        "user",
        "user_id",
    }
)
"""What ``${…}`` may name."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_TEXT = re.compile(r"[\t -~\x80-\uffff]*")
_RESPONSE_OWN = frozenset({"content-type", "via"})
"""Reserved in requests, and nobody's but the backend's in responses."""


def pieces(value: str) -> Iterator[tuple[str, bool]]:
    """A header's value in pieces: text, or the name of a variable (and True)."""
    end = 0
    for found in _VARIABLE.finditer(value):
        yield value[end : found.start()], False
        yield found[1], True
        end = found.end()
    yield value[end:], False


def _check_value(value: str) -> str:
    if not _TEXT.fullmatch(value) or value != value.strip():
        raise mistake("header-value", "this cannot be a header's value", "no control characters, no spaces at its ends")
    for piece, is_variable in pieces(value):
        if is_variable and piece not in VARIABLES:
            known = suggestion(piece, VARIABLES) or f"there are {', '.join(sorted(VARIABLES))}"
            raise mistake("variable", f"nothing is called {quoted(piece)}", known)
        if not is_variable and "${" in piece:
            raise mistake("variable", "a ${ is never closed")
    return value


def _check_response(header: str) -> str:
    return header if header in _RESPONSE_OWN else check_reserved(header)


Value = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_check_value)]
ResponseHeader = Annotated[HeaderName, AfterValidator(_check_response)]


def _check_apart(names: list[set[str]]) -> None:
    seen: set[str] = set()
    for some in names:
        if twice := seen & some:
            raise mistake("duplicate", f"{min(twice)} stands here in two ways", "set replaces, add does not")
        seen |= some


class RequestHeaders(Section):
    """Changes to what the upstream gets, after authentication. Values may hold `${client_ip}`, `${host}`, `${method}`,
    `${path}`, `${request_id}`, `${route}`, `${scheme}`, `${scopes}`, `${tier}`, `${upstream}`, `${user}` and
    `${user_id}`."""

    set: dict[OwnHeader, Value] = Field(default={}, max_length=50)
    """Headers that have this value from here on, whatever they had."""
    add: dict[OwnHeader, Value] = Field(default={}, max_length=50)
    """Headers that get this value beside those that they have."""
    remove: Annotated[list[OwnHeader], Unique] = Field(default=[], max_length=50)
    """Headers that the upstream does not get."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        _check_apart([{*self.set}, {*self.add}, {*self.remove}])
        return self


class ResponseHeaders(Section):
    """Changes to what the client gets. Values may hold the variables of `request_headers`."""

    set: dict[ResponseHeader, Value] = Field(default={}, max_length=50)
    """Headers that have this value from here on, whatever they had."""
    add: dict[ResponseHeader, Value] = Field(default={}, max_length=50)
    """Headers that get this value beside those that they have."""
    remove: Annotated[list[ResponseHeader], Unique] = Field(default=[], max_length=50)
    """Headers that the client does not get."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        _check_apart([{*self.set}, {*self.add}, {*self.remove}])
        return self
