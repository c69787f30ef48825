"""What a route does with a request: sends it on, sends the client elsewhere, or answers itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from controlplane.model.upstreams import HashKey, Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One upstream's part of the requests."""

    upstream: str
    weight: int
    subset: Labels = ()
    """Only endpoints that have all of these; empty is every one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRewrite:
    """Another path for the one that matched."""

    kind: Literal["prefix", "whole", "template", "regex"]
    """``prefix`` takes the place of the prefix that the route matches; ``template`` is made of what the route's own
    template took."""
    value: str
    pattern: str = ""
    """Of ``regex``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """Who gets a copy."""

    upstream: str
    share: float
    """Of the requests: more than 0, up to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """To upstreams."""

    shares: tuple[Share, ...]
    path: PathRewrite | None = None
    host: str | None = None
    mirrors: tuple[Mirror, ...] = ()
    hash_on: tuple[HashKey, ...] = ()
    """What ties requests to endpoints, of all upstreams together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Elsewhere; ``None`` stays as it was asked for."""

    status: int
    scheme: Literal["http", "https"] | None = None
    host: str | None = None
    port: int | None = None
    path: PathRewrite | None = None
    strip_query: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond:
    """An answer of the gateway's own."""

    status: int
    body: str
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """An answer in the place of an upstream's."""

    statuses: tuple[str, ...]
    """``503``, or ``5xx`` for a class."""
    answer: Respond


Action: TypeAlias = Forward | Redirect | Respond


@dataclass(frozen=True, slots=True)
class Variable:
    """Something of the request, in the value of a header."""

    name: str


HeaderValue: TypeAlias = tuple[str | Variable, ...]
"""Its pieces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderChanges:
    """Headers by name in lower case."""

    set: Mapping[str, HeaderValue] = field(default_factory=dict)
    add: Mapping[str, HeaderValue] = field(default_factory=dict)
    remove: tuple[str, ...] = ()


def upstreams_of(action: Action) -> Iterator[str]:
    """Every upstream that the action needs."""
    if isinstance(action, Forward):
        yield from (share.upstream for share in action.shares)
        yield from (mirror.upstream for mirror in action.mirrors)
