"""Names of routes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controlplane.model import PathMatch, RouteMatch
from controlplane.resolve.route_names import derive_names

matches = st.builds(
    RouteMatch,
    path=st.builds(PathMatch, kind=st.just("prefix"), value=st.sampled_from(["/", "/a", "/" + "x" * 300])),
    hosts=st.sampled_from([("*",), ("a.com",), ("b.com",)]),
    methods=st.sampled_from([(), ("GET",), ("GET", "PUT")]),
    headers=st.just(()),
)
given_names = st.none() | st.sampled_from(["/", "/a", "GET /a", "/a#2"])


@given(st.lists(st.tuples(given_names, matches), max_size=12, unique_by=lambda route: route[0] or object()))
def test_names_are_unique_and_given_ones_stay(routes: list[tuple[str | None, RouteMatch]]) -> None:
    """Also when a given name is what another route's would be."""
    names = derive_names([name for name, _ in routes], [match for _, match in routes])
    assert len(set(names)) == len(routes)
    assert all(written in (None, name) for name, (written, _) in zip(names, routes, strict=True))
    assert all(len(name) <= 204 for name in names)


def test_a_new_route_elsewhere_renames_nothing() -> None:
    """Metrics keep their series when the document grows."""
    one, two = (_at("/a", ()), _at("/b", ("GET",)))
    assert derive_names([None], [one]) == derive_names([None, None], [one, two])[:1] == ["/a"]


def _at(path: str, methods: tuple[str, ...]) -> RouteMatch:
    return RouteMatch(path=PathMatch(kind="prefix", value=path), hosts=("*",), methods=methods, headers=())
