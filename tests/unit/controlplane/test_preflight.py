"""The real Envoy is asked before anything goes live."""

from __future__ import annotations

from pathlib import Path

import pytest

from controlplane.preflight import EnvoyPreflight, PreflightError, PreflightUnavailableError
from gateway.binaries import envoy_path
from tests.harness import gateways
from tests.harness.gateways import edge_snapshot


@pytest.fixture
def preflight() -> EnvoyPreflight:
    """With the Envoy of the ``embedded`` extra."""
    return EnvoyPreflight(binary=envoy_path(), deadline=10)


def test_a_good_snapshot_passes(preflight: EnvoyPreflight) -> None:
    """Listeners, routes, clusters, endpoints, limits and authentication together."""
    preflight.check(edge_snapshot(gateways.gateway()))


def test_envoys_own_words_come_back(preflight: EnvoyPreflight) -> None:
    """An expression that only Envoy's own regex library refuses; no log prefix and no path of a file."""
    route = gateways.route(match=gateways.match("/(unclosed", "regex"))
    with pytest.raises(PreflightError, match=r"^missing \): /\(unclosed$"):
        preflight.check(edge_snapshot(gateways.gateway(routes=(route,))))


def test_a_missing_binary_is_not_a_refusal() -> None:
    """Nobody could be asked, which is another thing than a no."""
    with pytest.raises(PreflightUnavailableError, match="no-such-envoy: No such file"):
        EnvoyPreflight(binary=Path("no-such-envoy"), deadline=1).check(edge_snapshot(gateways.gateway()))


def test_an_envoy_that_hangs_is_given_up(tmp_path: Path) -> None:
    """The deadline ends the child."""
    hanging = tmp_path / "envoy"
    hanging.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    hanging.chmod(0o700)
    with pytest.raises(PreflightUnavailableError, match=r"no answer from Envoy within 0\.1 s"):
        EnvoyPreflight(binary=hanging, deadline=0.1).check(edge_snapshot(gateways.gateway()))
