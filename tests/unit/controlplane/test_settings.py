"""The control plane's settings."""

from __future__ import annotations

import json

import pytest

from controlplane.settings import ControlPlaneSettings
from servicekit.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GATEWAY_BACKEND_URL", "127.0.0.1:8048"),
        ("GATEWAY_BACKEND_URL", "http://127.0.0.1:8048/api"),
        ("GATEWAY_LISTEN_ADDRESS", "localhost"),
        ("GATEWAY_PORT", "0"),
        ("GATEWAY_ADMIN_BIND", "8001"),
    ],
)
def test_an_impossible_value_names_its_variable(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """Before anything starts."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=rf"^{variable}: "):
        load_settings(ControlPlaneSettings)


def test_metrics_targets_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Written as JSON, as the Compose file does."""
    monkeypatch.setenv("GATEWAY_METRICS_TARGETS", '["http://a/metrics", "http://b/metrics"]')
    assert load_settings(ControlPlaneSettings).metrics_targets == ("http://a/metrics", "http://b/metrics")


@pytest.mark.parametrize("wrong", ["https://a:1", "http://a", "a:1", "http://a:1/keys", "http://a:99999"])
def test_an_ext_authz_is_named_by_host_and_port(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    """Its operations server speaks plain HTTP, and what is asked for is not the setting's to say."""
    monkeypatch.setenv("GATEWAY_AUTH_TARGETS", json.dumps([wrong]))
    with pytest.raises(SettingsError, match="GATEWAY_AUTH_TARGETS"):
        load_settings(ControlPlaneSettings)
    monkeypatch.setenv("GATEWAY_AUTH_TARGETS", '["http://[::1]:18011", "http://ext-authz:18011/"]')
    assert len(load_settings(ControlPlaneSettings).auth_targets) == 2
