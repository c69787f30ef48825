"""The bootstrap that people read is the one that the code gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.bootstrap import render_bootstrap
from gateway.envoy_settings import EnvoySettings
from tests.harness.golden import Golden

BOOTSTRAP = Path(__file__).parents[2] / "envoy" / "bootstrap.yaml"
CA = Path("/etc/ssl/certs/ca-certificates.crt")


def test_the_printed_copy_is_the_default(golden: Golden, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``envoy/bootstrap.yaml``, with no setting from outside but what differs from machine to machine."""
    monkeypatch.chdir(tmp_path)
    golden.check_file(BOOTSTRAP, render_bootstrap(EnvoySettings(node_id="edge-1", ca_file=CA)))
