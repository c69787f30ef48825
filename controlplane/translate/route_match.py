"""Which requests a route takes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from envoy.config.route.v3.route_components_pb2 import HeaderMatcher, RouteMatch
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from controlplane import model

METHOD = ":method"


def route_match(match: model.RouteMatch) -> RouteMatch:
    """A match but for its hosts, which are virtual hosts."""
    headers = [method_matcher(match.methods)] if match.methods else []
    return RouteMatch(headers=[*headers, *map(_header, match.headers)], **_path(match.path))


def method_matcher(methods: Sequence[str]) -> HeaderMatcher:
    """Any of ``methods``."""
    if len(methods) == 1:
        return HeaderMatcher(name=METHOD, string_match=StringMatcher(exact=methods[0]))
    return HeaderMatcher(name=METHOD, string_match=_regex("|".join(map(re.escape, methods))))


def _path(path: model.PathMatch) -> dict[str, object]:
    if path.kind == "exact":
        return {"path": path.value}
    if path.kind == "regex":
        return {"safe_regex": RegexMatcher(regex=path.value)}
    # "/public/" already ends a segment, and Envoy refuses it as a path_separated_prefix.
    return {"prefix" if path.value.endswith("/") else "path_separated_prefix": path.value}


def _header(header: model.HeaderMatch) -> HeaderMatcher:
    if header.kind == "present":
        return HeaderMatcher(name=header.name, present_match=True)
    if header.kind == "absent":
        return HeaderMatcher(name=header.name, present_match=False)
    string = _regex(header.value) if header.kind == "regex" else StringMatcher(exact=header.value)
    return HeaderMatcher(name=header.name, string_match=string)


def _regex(regex: str) -> StringMatcher:
    return StringMatcher(safe_regex=RegexMatcher(regex=regex))
