"""``routes``: which request goes where, under which policies."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from controlplane.config.authorization import Authorize
from controlplane.config.base import OneOf, Section, mistake
from controlplane.config.durations import Duration
from controlplane.config.re2 import RegexError, check_regex
from controlplane.config.retry import Retry
from controlplane.config.texts import HeaderName, Host, Label, LabelValue, Method, Name, RouteName, Unique, UrlPath

_MAX_REFERENCES = 50


def _check_re2(text: str) -> str:
    try:
        check_regex(text)
    except RegexError as error:
        raise mistake("regex", f"{error} (at character {error.offset + 1})", error.hint) from None
    return text


def _check_scope(text: str) -> str:
    if not re.fullmatch(r"[!#-\[\]-~]+", text):
        raise mistake(
            "scope", "a scope is one word of visible ASCII without quotes and backslashes", "write one item each"
        )
    return text


Regex = Annotated[
    str, Field(min_length=1, max_length=1024, json_schema_extra={"format": "regex"}), AfterValidator(_check_re2)
]
"""RE2 syntax; it has to match the whole value."""
Scope = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_check_scope)]
"""A scope-token of RFC 6749 §3.3."""
HeaderText = Annotated[str, Field(min_length=1, max_length=4096)]


class HeaderMatch(OneOf):
    """How one request header is compared. Text alone is `exact`."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("exact", "regex", "present")

    exact: HeaderText | None = None
    """The whole value."""
    regex: Regex | None = None
    """A regular expression (RE2) for the whole value."""
    present: bool | None = None
    """`true`: the header is there; `false`: it is not."""


def _from_text(value: Any) -> Any:
    if isinstance(value, str):
        return {"exact": value}
    if not isinstance(value, (dict, HeaderMatch)):
        raise mistake("type", "expected text or a mapping", "put the value in quotes")
    return value


def _check_names(headers: Any) -> Any:
    if isinstance(headers, dict) and len({str(name).lower() for name in headers}) < len(headers):
        raise mistake("duplicate", "a header stands here twice", "names of headers differ by more than their case")
    return headers


class Match(OneOf):
    """Which requests a route takes: those that every key here agrees to."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("path_prefix", "path", "path_regex")

    path_prefix: UrlPath | None = None
    """The path or what it lies below, in whole segments: `/api` (or `/api/`) takes `/api` and `/api/x`, not `/apix`."""
    path: UrlPath | None = None
    """The whole path."""
    path_regex: Regex | None = None
    """A regular expression (RE2) for the whole path, without the query."""
    hosts: Annotated[list[Host], Unique] = Field(default=["*"], min_length=1, max_length=100)
    """Host names, without ports; `*.example.com` is every name below it, `*` is every host."""
    methods: Annotated[list[Method], Unique] = Field(default=[], max_length=20)
    """Methods, in capitals; empty is every method."""
    headers: Annotated[
        dict[
            HeaderName,
            Annotated[HeaderMatch, BeforeValidator(_from_text, json_schema_input_type=HeaderText | HeaderMatch)],
        ],
        BeforeValidator(_check_names),
    ] = Field(default={}, max_length=20)
    """Request headers by name."""


class Route(Section):
    """One rule of the routing table. The first route that matches a request takes it.

    `/health` is answered by the gateway itself unless a route has exactly that as its `path`.
    """

    name: RouteName | None = None
    """Its name in metrics and logs; without it, the path it matches."""
    match: Match
    """Which requests it takes."""
    upstream: Name
    """Where they go."""
    authenticate: Annotated[list[Name], Unique] = Field(default=[], max_length=_MAX_REFERENCES)
    """Who may vouch for the caller: any one of these is enough. Empty is open to all."""
    scopes: Annotated[list[Scope], Unique] = Field(default=[], max_length=_MAX_REFERENCES)
    """What the caller's token has to grant, all of them; 403 without. An API key grants none."""
    authorize: Authorize = Authorize()
    """What else is asked of the caller; 403 without."""
    rate_limits: Annotated[list[Name], Unique] = Field(default=[], max_length=_MAX_REFERENCES)
    """Limits that all have to allow the request."""
    timeout: Annotated[float, Duration()] | None = None
    """How long the whole exchange may take; `0s` is for ever. Without it, `defaults` decides."""
    retry: Retry = Retry()
    """When to send a request again; keys not written here come from `defaults`."""
    labels: dict[Label, LabelValue] = Field(default={}, max_length=20)
    """What node groups choose routes by."""
