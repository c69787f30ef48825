"""Envoy's bootstrap: what is printed, what is refused, and that Envoy takes it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from gateway.bootstrap import render_bootstrap
from gateway.bootstrap_tls import SecretFiles
from gateway.envoy_settings import EnvoySettings
from servicekit.address import Address, parse_address
from servicekit.settings import SettingsError
from tests.harness.certificates import Authority
from tests.harness.envoy import envoy_settings, short_folder, validate

ENVOY_FOLDER = Path(__file__).parents[3] / "envoy"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_folder_never_becomes_a_package() -> None:
    """It would hide the generated code."""
    assert not list(ENVOY_FOLDER.rglob("__init__.py"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"xds_address": "127.0.0.1:18000", "ext_authz_address": "[::1]:18001", "envoy_health_bind": "[::]:8002"},
        {"xds_address": "controlplane:18000", "envoy_admin": "127.0.0.1:8003", "insecure_network": True},
    ],
    ids=["sockets", "addresses", "names"],
)
def test_the_real_envoy_takes_it(changes: dict[str, object]) -> None:
    """With sockets, addresses and names."""
    parsed = {key: parse_address(value) if isinstance(value, str) else value for key, value in changes.items()}
    with short_folder() as folder:
        validate(render_bootstrap(envoy_settings(folder, **parsed)))


def test_a_node_says_what_groups_choose_it_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata is a mapping in JSON; what is not set is not said."""
    plain = yaml.safe_load(render_bootstrap(EnvoySettings(node_id="a")))
    assert plain["node"] == {"id": "a", "cluster": "edge"}
    monkeypatch.setenv("GATEWAY_NODE_REGION", "eu")
    monkeypatch.setenv("GATEWAY_NODE_ZONE", "eu-1")
    monkeypatch.setenv("GATEWAY_NODE_METADATA", '{"role": "sidecar"}')
    rendered = render_bootstrap(EnvoySettings(node_id="a", node_group="mesh"))
    assert yaml.safe_load(rendered)["node"] == {
        "id": "a",
        "cluster": "mesh",
        "locality": {"region": "eu", "zone": "eu-1"},
        "metadata": {"role": "sidecar"},
    }
    validate(rendered)


def test_plain_grpc_never_leaves_the_machine_unasked(tmp_path: Path) -> None:
    """Neither to the control plane nor to a service."""
    for field in ("xds_address", "ext_authz_address", "ratelimit_address"):
        settings = envoy_settings(tmp_path, **{field: Address(host="10.0.0.1", port=1)})
        with pytest.raises(SettingsError, match="beyond this machine"):
            render_bootstrap(settings)


def test_with_certificates_every_network_link_is_mutual_tls(tmp_path: Path) -> None:
    """And each peer has to prove the name that it is called by; sockets need none."""
    settings = EnvoySettings(
        tls_dir=tmp_path,
        xds_address=Address(host="controlplane", port=18000),
        ext_authz_address=Address(host="10.0.0.1", port=18001),
        ratelimit_address=Address(path="/run/gateway/ratelimit.sock"),
    )
    clusters = {c["name"]: c for c in yaml.safe_load(render_bootstrap(settings))["static_resources"]["clusters"]}
    assert "transport_socket" not in clusters["gateway.ratelimit"]
    for name, host, kind in (("gateway.xds", "controlplane", "DNS"), ("gateway.ext_authz", "10.0.0.1", "IP_ADDRESS")):
        tls = clusters[name]["transport_socket"]["typed_config"]["common_tls_context"]
        assert tls["tls_certificates"][0]["private_key"]["filename"] == str(tmp_path / "tls.key")
        assert tls["validation_context"]["match_typed_subject_alt_names"] == [
            {"san_type": kind, "matcher": {"exact": host}}
        ]


@pytest.mark.parametrize("address", ["0.0.0.0:8003", "10.0.0.1:8003", "example.com:8003"])
def test_the_admin_interface_is_never_exposed(address: str) -> None:
    """It has no password."""
    with pytest.raises(ValidationError, match="no password"):
        EnvoySettings(envoy_admin=parse_address(address))


def test_a_bootstrap_in_a_file_lets_envoy_follow_new_certificates(tmp_path: Path) -> None:
    """Through two files beside it, which the real Envoy takes; paths are whole, wherever the command runs."""
    tls = Authority(tmp_path).member("node")
    settings = EnvoySettings(node_id="a", tls_dir=tls, xds_address=Address(host="10.0.0.1", port=1))
    with short_folder() as folder:
        secrets = SecretFiles.beside(folder / "bootstrap.yaml")
        secrets.write(tls)
        text = render_bootstrap(settings, secrets=secrets)
        assert str(tls) not in text
        validate(text)
        written = yaml.safe_load(secrets.certificate.read_text())["resources"][0]["tls_certificate"]
    assert written["private_key"] == {"filename": str(tls / "tls.key")}
    assert written["watched_directory"] == {"path": str(tls)}
