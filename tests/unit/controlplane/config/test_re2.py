"""Regular expressions: our reading against that of Envoy's RE2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.config.re2 import RegexError, check_regex
from tests.harness.envoy import validate

VALID = (Path(__file__).parent / "re2_valid.txt").read_text(encoding="utf-8").splitlines()
INVALID = (Path(__file__).parent / "re2_invalid.txt").read_text(encoding="utf-8").splitlines()


def envoy_configuration(patterns: list[str]) -> str:
    """A configuration that has Envoy compile each of ``patterns``."""
    hcm = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
    routes = [{"match": {"safe_regex": {"regex": pattern}}, "direct_response": {"status": 200}} for pattern in patterns]
    connection_manager = {
        "@type": hcm,
        "stat_prefix": "test",
        "http_filters": [{"name": "router", "typed_config": {"@type": router}}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": connection_manager}]}],
    }
    size = {"name": "size", "static_layer": {"re2.max_program_size.error_level": 1_000_000}}
    return json.dumps({"layered_runtime": {"layers": [size]}, "static_resources": {"listeners": [listener]}})


@pytest.mark.parametrize("pattern", VALID)
def test_what_re2_takes_is_taken(pattern: str) -> None:
    """Every construct of its syntax page that documents are likely to have."""
    check_regex(pattern)


@pytest.mark.parametrize("pattern", INVALID)
def test_what_re2_refuses_is_refused(pattern: str) -> None:
    """With an offset inside the text."""
    with pytest.raises(RegexError) as caught:
        check_regex(pattern)
    assert 0 <= caught.value.offset < len(pattern)


def test_envoy_takes_all_the_valid_ones() -> None:
    """The table above is Envoy's own judgement and not our memory of it."""
    validate(envoy_configuration(VALID))


@pytest.mark.parametrize("pattern", INVALID)
def test_envoy_refuses_each_invalid_one(pattern: str) -> None:
    """So that nothing valid is refused for a reader's convenience."""
    with pytest.raises(AssertionError, match="error initializing configuration"):
        validate(envoy_configuration([pattern]))


@given(st.text() | st.text(r"\()[]{}*+?|^$.-,:<>=!#PQEpdwbxzuAaiU01259kRé", max_size=25))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    """No other error comes out."""
    offset, message = 0, "fine"
    try:
        check_regex(text)
    except RegexError as error:
        offset, message = error.offset, str(error)
    assert 0 <= offset <= len(text)
    assert message
