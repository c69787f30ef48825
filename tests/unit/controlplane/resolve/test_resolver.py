"""Resolving documents that were not read from a text."""

from __future__ import annotations

import pytest

from controlplane.config import ConfigError, GatewayConfig
from controlplane.resolve import resolve


def document(**changes: object) -> GatewayConfig:
    """The smallest document, changed."""
    smallest: dict[str, object] = {
        "listeners": [{"name": "http", "port": 8000}],
        "upstreams": [{"name": "echo", "endpoints": ["http://127.0.0.1"]}],
        "routes": [{"match": {"path_prefix": "/"}, "upstream": "echo"}],
    }
    return GatewayConfig.model_validate(smallest | changes)


def test_equal_documents_mean_equal_gateways() -> None:
    """However often they are read: what is equal is not published again."""
    assert resolve(document(), listen_address="::1") == resolve(document(), listen_address="::1")


def test_listeners_without_an_address_take_the_process_setting() -> None:
    """In the form that the system's tools show."""
    assert resolve(document(), listen_address="0:0::1").listeners[0].address == "::1"


def test_problems_without_a_text_say_the_path() -> None:
    """There is no line to point to."""
    broken = document(routes=[{"match": {"path": "/"}, "upstream": "eco"}])
    with pytest.raises(ConfigError) as caught:
        resolve(broken, listen_address="127.0.0.1")
    assert str(caught.value) == "routes[0].upstream: nothing in upstreams is called 'eco' (did you mean 'echo'?)"


def test_all_passes_speak() -> None:
    """A mistake that one pass finds hides none of another's."""
    broken = document(
        listeners=[{"name": "a", "port": 1}, {"name": "b", "port": 1}],
        upstreams=[{"name": "echo", "endpoints": ["http://a", "https://b"]}],
        routes=[
            {"match": {"path": "/"}, "upstream": "eco", "timeout": "1s", "retry": {"per_try_timeout": "2s"}},
            {"match": {"path": "/"}, "upstream": "echo"},
        ],
    )
    with pytest.raises(ConfigError) as caught:
        resolve(broken, listen_address="127.0.0.1")
    assert {problem.code for problem in caught.value.problems} == {
        "port-conflict",
        "mixed-endpoints",
        "unknown-name",
        "timeouts",
        "duplicate-route",
    }
