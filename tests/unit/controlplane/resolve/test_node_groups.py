"""Documents whose nodes do not all get the same."""

from __future__ import annotations

import pytest

from controlplane.config import ConfigError, GatewayConfig
from controlplane.model import EDGE, Gateway
from controlplane.resolve import resolve

PUBLIC, INTERNAL = {"labels": {"audience": "public"}}, {"labels": {"audience": "internal"}}


def resolved(**changes: object) -> Gateway:
    """Two routes with one match, for two audiences, and what the test says."""
    document: dict[str, object] = {
        "listeners": [{"name": "http", "port": 8000}],
        "upstreams": [{"name": "echo", "endpoints": ["http://127.0.0.1"]}],
        "routes": [
            {"name": "for-all", "match": {"path_prefix": "/"}, "upstream": "echo", **PUBLIC},
            {"name": "for-us", "match": {"path_prefix": "/"}, "upstream": "echo", **INTERNAL},
        ],
    }
    return resolve(GatewayConfig.model_validate(document | changes), listen_address="127.0.0.1")


def codes(**changes: object) -> set[str]:
    """Of everything that is wrong."""
    with pytest.raises(ConfigError) as caught:
        resolved(**changes)
    return {problem.code for problem in caught.value.problems}


def test_without_groups_there_is_one() -> None:
    """It takes every node and gives it everything."""
    routes = [{"match": {"path_prefix": "/"}, "upstream": "echo"}]
    assert resolved(routes=routes).node_groups == (EDGE,)


def test_one_match_may_stand_in_two_groups() -> None:
    """No node sees both."""
    both = [{"name": "edge", "nodes": {"ids": ["e"]}, "routes": PUBLIC}, {"name": "sidecar", "routes": INTERNAL}]
    assert len(resolved(node_groups=both).routes) == 2
    assert codes() == {"duplicate-route"}


def test_a_route_that_one_group_never_reaches_may_be_reached_in_another() -> None:
    """Only what no node ever serves is a mistake."""
    every_then_ours = [{"name": "all", "nodes": {"ids": ["e"]}}, {"name": "sidecar", "routes": INTERNAL}]
    assert resolved(node_groups=every_then_ours).routes[1].name == "for-us"
    assert codes(node_groups=[{"name": "all"}]) == {"duplicate-route"}


def test_one_port_may_stand_in_two_groups() -> None:
    """Two machines."""
    listeners = [{"name": "http", "port": 8000}, {"name": "outbound", "port": 8000}]
    edge = {"name": "edge", "nodes": {"ids": ["e"]}, "listeners": ["http"], "routes": PUBLIC}
    apart = [edge, {"name": "sidecar", "listeners": ["outbound"], "routes": INTERNAL}]
    assert len(resolved(listeners=listeners, node_groups=apart).listeners) == 2
    together = [edge, {"name": "sidecar", "routes": INTERNAL}]
    assert codes(listeners=listeners, node_groups=together) == {"port-conflict"}


def test_a_listener_that_is_not_there_is_not_every_listener() -> None:
    """A slip of the pen opens nothing."""
    routes = [{"match": {"path_prefix": "/"}, "upstream": "echo"}]
    groups = [{"name": "edge", "listeners": ["htp"]}]
    assert codes(routes=routes, node_groups=groups) == {"unknown-name", "in-no-group"}
