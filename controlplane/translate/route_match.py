"""Which requests a route takes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from envoy.config.route.v3.route_components_pb2 import HeaderMatcher, QueryParameterMatcher, RouteMatch
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from controlplane import model
from controlplane.model import path_templates

METHOD = ":method"
_COOKIE = "cookie"


def route_match(match: model.RouteMatch) -> RouteMatch:
    """A match but for its hosts, which are virtual hosts."""
    headers = [method_matcher(match.methods)] if match.methods else []
    return RouteMatch(
        headers=[*headers, *map(_header, match.headers), *map(_cookie, match.cookies)],
        query_parameters=map(_parameter, match.query),
        **_path(match.path),
    )


def method_matcher(methods: Sequence[str]) -> HeaderMatcher:
    """Any of ``methods``."""
    if len(methods) == 1:
        return HeaderMatcher(name=METHOD, string_match=StringMatcher(exact=methods[0]))
    return HeaderMatcher(name=METHOD, string_match=_regex("|".join(map(re.escape, methods))))


def _path(path: model.PathMatch) -> dict[str, object]:
    if path.kind == "exact":
        return {"path": path.value}
    if path.kind in ("template", "regex"):
        regex = path_templates.expression(path.value) if path.kind == "template" else path.value
        return {"safe_regex": RegexMatcher(regex=regex)}
    # "/public/" already ends a segment, and Envoy refuses it as a path_separated_prefix.
    return {"prefix" if path.value.endswith("/") else "path_separated_prefix": path.value}


def _header(header: model.ValueMatch) -> HeaderMatcher:
    if header.kind == "present":
        return HeaderMatcher(name=header.name, present_match=True)
    if header.kind == "absent":
        return HeaderMatcher(name=header.name, present_match=False)
    return HeaderMatcher(name=header.name, string_match=_string(header))


def _parameter(parameter: model.ValueMatch) -> QueryParameterMatcher:
    if parameter.kind in ("present", "absent"):
        return QueryParameterMatcher(name=parameter.name, present_match=parameter.kind == "present")
    return QueryParameterMatcher(name=parameter.name, string_match=_string(parameter))


def _cookie(cookie: model.ValueMatch) -> HeaderMatcher:
    """One of the pairs in the header (RFC 6265 §4.2.1): Envoy has no matcher for cookies."""
    value = {"exact": re.escape(cookie.value), "regex": f"(?:{cookie.value})"}.get(cookie.kind, "[^;]*")
    pair = _regex(f"(?:.*; ?)?{re.escape(cookie.name)}={value}(?:;.*)?")
    absent = cookie.kind == "absent"
    return HeaderMatcher(name=_COOKIE, string_match=pair, invert_match=absent, treat_missing_header_as_empty=absent)


def _string(match: model.ValueMatch) -> StringMatcher:
    return _regex(match.value) if match.kind == "regex" else StringMatcher(exact=match.value)


def _regex(regex: str) -> StringMatcher:
    return StringMatcher(safe_regex=RegexMatcher(regex=regex))
