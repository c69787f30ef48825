"""What is told of routes without Envoy: never a guess. That it is what Envoy does is shown with a real one."""

from __future__ import annotations

import pytest
from envoy.config.core.v3.base_pb2 import RuntimeFractionalPercent
from envoy.config.route.v3.route_components_pb2 import HeaderMatcher, Route, RouteMatch, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from hypothesis import example, given
from hypothesis import strategies as st

from controlplane.routing import Asked, UnsupportedMatchError, find_route, normalized


def of(*matches: RouteMatch) -> RouteConfiguration:
    """Routes in this order, for every host."""
    routes = [Route(name=str(number), match=match) for number, match in enumerate(matches)]
    return RouteConfiguration(virtual_hosts=[VirtualHost(name="*", domains=["*"], routes=routes)])


def asked(path: str = "/x") -> Asked:
    """A request for that path."""
    return Asked(method="GET", host="a.test", path=path, headers={})


def regex(text: str) -> RouteMatch:
    """A path that fits the expression."""
    return RouteMatch(safe_regex=RegexMatcher(regex=text))


@pytest.mark.parametrize(
    "match",
    [
        *map(regex, (r"/\pL+", r"/[[:alpha:]]+", r"/\Qx\E", r"/(?U)x+", r"/x{,3}", r"/(?i:x)(?i)y", r"/\z", r"/\C")),
        RouteMatch(prefix="/", runtime_fraction=RuntimeFractionalPercent(runtime_key="a")),
        RouteMatch(prefix="/", headers=[HeaderMatcher(name=":method", string_match=StringMatcher(contains="G"))]),
        RouteMatch(prefix="/", case_sensitive={"value": False}),
    ],
    ids=lambda match: str(match).replace("\n", " "),
)
def test_what_is_not_known_here_is_said_so(match: RouteMatch) -> None:
    """With the route's name; but not where a route before it takes the request."""
    with pytest.raises(UnsupportedMatchError, match="'0'"):
        find_route(of(match), asked())
    taken = find_route(of(RouteMatch(path="/x"), match), asked())
    assert taken is not None
    assert taken.name == "0"


def test_where_nothing_fits_there_is_nothing() -> None:
    """No host, no route."""
    assert find_route(RouteConfiguration(), asked()) is None
    assert find_route(of(RouteMatch(path="/y")), asked()) is None


@given(
    st.text(st.sampled_from("/.%2eEfF5cC\\aA#? é\x00"), max_size=12).map(lambda text: f"/{text}") | st.text(max_size=5)
)
@example("/%2541")
def test_a_normalised_path_has_one_meaning(target: str) -> None:
    """No dot segment, no two slashes, nothing that escapes a slash; or it is refused. Never an error."""
    path = normalized(target)
    if path is None:
        return
    segments = path.partition("?")[0].split("/")[1:]
    assert path.startswith("/")
    assert "" not in segments[:-1]
    assert not {".", "..", "%2e", "%2E%2e"} & set(segments)
