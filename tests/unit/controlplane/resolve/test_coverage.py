"""Which route covers which: against a reading of every request in a small world."""

from __future__ import annotations

from itertools import product
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.model import PathMatch, RouteMatch, ValueMatch
from controlplane.resolve.coverage import RouteIndex

PATHS = ("/", "/a", "/a/b", "/a/bb", "/c", "/a/", "/a/z", "/a/b/z", "/a/bb/z", "/c/z", "/z", "/z/b", "/a/b/y")
HOSTS = ("x.com", "a.x.com", "b.a.x.com", "z.a.x.com", "z.x.com", "z.com", "y.org")
METHODS = ("GET", "POST", "ANY-OTHER")
HEADERS: tuple[frozenset[str], ...] = (frozenset(), frozenset({"x-a"}), frozenset({"x-b"}), frozenset({"x-a", "x-b"}))
REQUESTS = tuple(product(PATHS, HOSTS, METHODS, HEADERS))

Request = tuple[str, str, str, frozenset[str]]


TEMPLATES = ("/{x}", "/*", "/a/{x}", "/a/**", "/{y}/{x}", "/*/{rest=**}", "/**", "/{x}/b", "/a/*/z", "/a/b/{x=**}")


def is_of(template: list[str], path: list[str]) -> bool:
    """Whether a path is one of a template's, segment by segment."""
    if template and template[0] in ("**", "{x=**}", "{rest=**}"):
        return bool(path)
    if not template or not path:
        return template == path
    fits = bool(path[0]) if template[0][:1] in ("*", "{") else path[0] == template[0]
    return fits and is_of(template[1:], path[1:])


def takes(match: RouteMatch, request: Request) -> bool:
    """Whether a route takes a request, read as simply as can be."""
    path, host, method, headers = request
    prefix = match.path.value if match.path.value.endswith("/") else match.path.value + "/"
    return (
        (
            path == match.path.value
            or (match.path.kind == "prefix" and path.startswith(prefix))
            or (match.path.kind == "template" and is_of(match.path.value[1:].split("/"), path[1:].split("/")))
        )
        and any(
            pattern in ("*", host) or (pattern[:2] == "*." and host.endswith(pattern[1:])) for pattern in match.hosts
        )
        and (not match.methods or method in match.methods)
        and all(header.name in headers for header in match.headers)
    )


paths = st.builds(PathMatch, kind=st.just("exact"), value=st.sampled_from(PATHS[:6])) | st.builds(
    PathMatch, kind=st.just("prefix"), value=st.sampled_from(PATHS[:5])
)
paths |= st.builds(PathMatch, kind=st.just("template"), value=st.sampled_from(TEMPLATES))
host_lists = st.just(("*",)) | st.lists(
    st.sampled_from(("x.com", "a.x.com", "*.x.com", "*.a.x.com", "*.com")), min_size=1, max_size=2, unique=True
).map(tuple)
matches = st.builds(
    RouteMatch,
    path=paths,
    hosts=host_lists,
    methods=st.sampled_from([(), ("GET",), ("POST",), ("GET", "POST")]),
    headers=st.sets(st.sampled_from(["x-a", "x-b"])).map(
        lambda names: tuple(ValueMatch(name=name, kind="present") for name in sorted(names))
    ),
)


@given(st.lists(matches, max_size=6), matches)
def test_a_route_is_covered_when_one_before_takes_all_its_requests(
    earlier: list[RouteMatch], later: RouteMatch
) -> None:
    """Exactly then, and the first such route is named. Routes that only cover it together are not looked for."""
    index = RouteIndex()
    for number, match in enumerate(earlier):
        index.add(number, match)
    mine = [request for request in REQUESTS if takes(later, request)]
    takers = [number for number, match in enumerate(earlier) if all(takes(match, request) for request in mine)]
    assert index.covering(later) == min(takers, default=None)


def test_a_regular_expression_is_covered_by_itself_and_by_everything() -> None:
    """Others are not compared."""
    index = RouteIndex()
    regex = _match(PathMatch(kind="regex", value="/a+"))
    index.add(0, _match(PathMatch(kind="prefix", value="/a")))
    assert index.covering(regex) is None
    index.add(1, regex)
    assert index.covering(regex) == 1
    index.add(2, _match(PathMatch(kind="prefix", value="/")))
    assert index.covering(_match(PathMatch(kind="regex", value="/b+"))) == 2


@pytest.mark.parametrize(
    ("earlier", "kind", "later", "covered"),
    [
        ("/a/{x}", "template", "/a/*", True),
        ("/a/{x}", "template", "/a/{rest=**}", False),
        ("/a/{rest=**}", "template", "/a/{x}", True),
        ("/a/{rest=**}", "template", "/{x}/b", False),
        ("/{x}/b", "template", "/a/{y}", False),
        ("/a/{x}", "prefix", "/a/b", False),
        ("/a/**", "prefix", "/a/b", True),
        ("/a/**", "prefix", "/a", False),
        ("/**", "prefix", "/", True),
        ("/a/{x}", "exact", "/a/b", True),
        ("/a/{x}", "exact", "/a/", False),
        ("/a/**", "exact", "/a/", True),
        ("/a/{x}/", "exact", "/a/b/", True),
    ],
)
def test_templates(earlier: str, kind: Literal["template", "prefix", "exact"], later: str, *, covered: bool) -> None:
    """Segment by segment, whatever variables are called."""
    index = RouteIndex()
    index.add(0, _match(PathMatch(kind="template", value=earlier)))
    assert (index.covering(_match(PathMatch(kind=kind, value=later))) == 0) is covered


def _match(path: PathMatch) -> RouteMatch:
    return RouteMatch(path=path, hosts=("*",), methods=(), headers=())
