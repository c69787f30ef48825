"""Envoy's choice among the routes of a ``RouteConfiguration``: the virtual host, then its first route that fits."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Self

from envoy.config.route.v3.route_components_pb2 import (
    HeaderMatcher,
    QueryParameterMatcher,
    Route,
    RouteMatch,
    VirtualHost,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from controlplane.routing.request_path import normalized
from servicekit.contracts.data_plane import CLAIMED_HEADERS, ENVOY_HEADER_PREFIX

_PORT: Final = re.compile(r":[0-9]*$")
_BLANK: Final = " \t"
_PATHS: Final = {"path", "prefix", "path_separated_prefix", "safe_regex"}
_ROUTE_FIELDS: Final = {*_PATHS, "headers", "query_parameters"}
_HEADER_FIELDS: Final = {"name", "string_match", "present_match", "invert_match", "treat_missing_header_as_empty"}
_ONLY_RE2: Final = re.compile(r"\[\[?\^?:|\[:|\\[pPQCz]|\(\?[a-zA-Z-]*U|\{,")
"""What RE2 and Python's expressions read differently."""


class UnsupportedMatchError(Exception):
    """A route compares in a way that can't be told here; the text names the route and what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as routes see it."""

    method: str
    host: str
    """In lower case, without a port."""
    path: str
    """Normalised, with the query."""
    headers: Mapping[str, str]
    """Names in lower case, several values of one name joined by commas."""

    @classmethod
    def of(
        cls, method: str, host: str, target: str, headers: Mapping[str, str], *, hidden: Collection[str] = ()
    ) -> Self | None:
        """What is left of what a client sent when routes see it; ``None`` for what is answered with 400.

        Args:
            method: as sent.
            host: with or without a port.
            target: path and query.
            headers: as sent.
            hidden: names in lower case of those that no client may set.
        """
        path = normalized(target)
        if path is None:
            return None
        kept = {name.lower(): value.strip(_BLANK) for name, value in headers.items() if "_" not in name}
        removed = {*hidden, *CLAIMED_HEADERS}
        seen = {n: v for n, v in kept.items() if n not in removed and not n.startswith(ENVOY_HEADER_PREFIX)}
        return cls(method=method, host=_PORT.sub("", host).lower().removesuffix("."), path=path, headers=seen)


def find_route(config: RouteConfiguration, asked: Asked) -> Route | None:
    """The route that takes the request.

    Raises:
        UnsupportedMatchError: one of those that are tried compares in a way that is not known here.
    """
    chosen = _virtual_host(config, asked.host)
    for route in chosen.routes if chosen is not None else ():
        try:
            if _matches(route.match, asked):
                return route
        except _UnknownError as error:
            raise UnsupportedMatchError(f"route {route.name!r} matches by {error}, which only Envoy knows") from None
    return None


class _UnknownError(Exception):
    """Something that the translation did not use when this was written."""


def _virtual_host(config: RouteConfiguration, host: str) -> VirtualHost | None:
    """The exact name, else the longest pattern, else the one for every host."""
    by_domain = {domain: virtual_host for virtual_host in config.virtual_hosts for domain in virtual_host.domains}
    patterns = sorted((domain for domain in by_domain if domain.startswith("*.")), key=len, reverse=True)
    fitting = [domain for domain in patterns if host.endswith(domain[1:]) and len(host) >= len(domain)]
    return next((by_domain[domain] for domain in (host, *fitting, "*") if domain in by_domain), None)


def _matches(match: RouteMatch, asked: Asked) -> bool:
    _require(match, _ROUTE_FIELDS)
    path, _, query = asked.path.partition("?")
    return (
        _path_fits(match, path)
        and all(_header_fits(one, asked) for one in match.headers)
        and all(_parameter_fits(one, query) for one in match.query_parameters)
    )


def _path_fits(match: RouteMatch, path: str) -> bool:
    kind = match.WhichOneof("path_specifier")
    if kind == "path":
        return bool(path == match.path)
    if kind == "prefix":
        start: str = match.prefix
        return path.startswith(start)
    if kind == "path_separated_prefix":
        prefix: str = match.path_separated_prefix
        return path == prefix or path.startswith(f"{prefix}/")
    return _whole(match.safe_regex.regex, path)


def _header_fits(matcher: HeaderMatcher, asked: Asked) -> bool:
    _require(matcher, _HEADER_FIELDS)
    value = asked.method if matcher.name == ":method" else asked.headers.get(matcher.name)
    if matcher.WhichOneof("header_match_specifier") != "string_match":
        present: bool = matcher.present_match
        return ((value is not None) == present) is not bool(matcher.invert_match)
    if value is None and not matcher.treat_missing_header_as_empty:
        return False
    return _text_fits(matcher.string_match, value or "") is not bool(matcher.invert_match)


def _parameter_fits(matcher: QueryParameterMatcher, query: str) -> bool:
    """As it is written in the URL; of several of one name the first counts."""
    members = (member.partition("=") for member in query.split("&") if member)
    value = next((text for name, _, text in members if name == matcher.name), None)
    if matcher.WhichOneof("query_parameter_match_specifier") != "string_match":
        return bool((value is not None) == matcher.present_match)
    return value is not None and _text_fits(matcher.string_match, value)


def _text_fits(matcher: StringMatcher, value: str) -> bool:
    _require(matcher, {"exact", "safe_regex"})
    if matcher.WhichOneof("match_pattern") == "exact":
        return bool(value == matcher.exact)
    return _whole(matcher.safe_regex.regex, value)


def _whole(regex: str, value: str) -> bool:
    return _compiled(regex).fullmatch(value) is not None


@lru_cache(maxsize=256)
def _compiled(regex: str) -> re.Pattern[str]:
    if _ONLY_RE2.search(regex):
        raise _UnknownError(f"the expression {regex!r}")
    try:
        return re.compile(regex, re.ASCII)
    except re.error:
        raise _UnknownError(f"the expression {regex!r}") from None


def _require(message: Any, known: set[str]) -> None:
    for field, _ in message.ListFields():
        if field.name not in known:
            raise _UnknownError(field.name)
