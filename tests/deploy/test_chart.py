"""The chart: what the Helm engine and Kubernetes' own schemas say of it, and what its parts need of each other."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc.aio
import helm_python
import kubernetes_validate
import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.roles import ROLES
from servicekit.address import Address
from servicekit.settings import ENV_PREFIX, PeerSettings, load_settings
from servicekit.tls import add_port, open_channel
from tests.harness.chart import CHART, Manifest, one, render
from tests.harness.ports import free_port

CASES = sorted((Path(__file__).parents[1] / "golden" / "helm").glob("*.in.yaml"))
OLDEST, NEWEST = "1.27", kubernetes_validate.latest_version()
NOT_OF_KUBERNETES = {"cert-manager.io/v1"}


def case_values(case: Path) -> Mapping[str, Any]:
    """The values of a golden case."""
    return yaml.safe_load(case.read_text()) or {}


def test_the_linter_has_nothing_to_say() -> None:
    """Helm's own linter, strict: neither an error nor a warning."""
    report = helm_python.lint(CHART, strict=True)
    assert report["errors"] == []
    assert [m for m in report["messages"] if m["severity"] > 1] == []


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.removesuffix(".in.yaml"))
def test_kubernetes_would_accept_every_object(case: Path, version: str) -> None:
    """Each object of each golden case fits the strict schema of the oldest and the newest Kubernetes."""
    checked = 0
    for manifest in render(case_values(case)):
        if manifest["apiVersion"] not in NOT_OF_KUBERNETES:
            kubernetes_validate.validate(manifest, version, strict=True)
            checked += 1
    assert checked >= 10


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"gatewayy": {}}, "gatewayy"),
        ({"gateway": {"replica": 2}}, "replica"),
        ({"listeners": [{"name": "http", "port": 80}]}, "port"),
        ({"listeners": []}, "listeners"),
        ({"tls": {"mode": "none"}}, "mode"),
        ({"admin": {"token": "short"}}, "token"),
        ({"redis": {"url": "http://redis"}}, "url"),
        ({"gateway": {"resources": {"limits": {"memory": "lots"}}}}, "memory"),
        ({"image": {"digest": "sha256:abc"}}, "digest"),
        ({"logLevel": "LOUD"}, "logLevel"),
        ({"admin": {"oidc": {"issuer": "https://id.example.com"}}}, "jwksUri"),
        ({"admin": {"oidc": {"jwksUri": "https://id.example.com/jwks"}}}, "jwksUri"),
        ({"admin": {"certificateRoles": {"*.ops.example": "root"}}}, "certificateRoles"),
        ({"extAuthz": {"volumes": [{"name": "tls", "emptyDir": {}}]}}, "volumes"),
    ],
)
def test_a_bad_value_is_refused_by_name(values: Mapping[str, Any], named: str) -> None:
    """``values.schema.json`` catches misspelt keys and impossible values before anything is installed."""
    with pytest.raises(helm_python.HelmValuesError, match=named), helm_python.Chart.load(CHART) as chart:
        chart.validate_schema(dict(values))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"valkey": {"enabled": False}}, "redis.url"),
        ({"tls": {"mode": "existing"}}, "tls.existingSecret"),
        ({"tls": {"mode": "certManager"}}, "tls.certManager.issuerRef.name"),
    ],
)
def test_values_that_contradict_each_other_are_refused(values: Mapping[str, Any], named: str) -> None:
    """What no schema can see is refused by the templates, naming the value that is missing."""
    with pytest.raises(helm_python.HelmError, match=named):
        render(values)


def test_the_text_of_a_document_arrives_unchanged() -> None:
    """``--set-file document=gateway.yaml`` keeps comments, quotes and what looks like a template."""
    text = "# kept\nlisteners:\n  - {name: http, port: 8000}\nx: '{{ not a template }}'"
    config_map = one(render({"document": text}), "ConfigMap", "demo-api-gateway-document")
    assert config_map["data"]["gateway.yaml"].rstrip() == text


def containers(manifests: list[Manifest]) -> Iterator[tuple[Manifest, Manifest]]:
    """Every container, with the Deployment that it belongs to."""
    for manifest in manifests:
        if manifest["kind"] == "Deployment":
            for container in manifest["spec"]["template"]["spec"]["containers"]:
                yield manifest, container


def environment(container: Manifest) -> dict[str, str]:
    """The environment of a container, as far as its values stand in the manifest."""
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.removesuffix(".in.yaml"))
def test_every_process_understands_its_environment(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a container is told are settings of its process, with values that it takes."""
    roles = {role.name: role.load_settings_class() for role in ROLES}
    seen = set()
    for _, container in containers(render(case_values(case))):
        role = roles.get((container.get("args") or [""])[0])
        if role is None:
            continue
        told = environment(container)
        assert {name.removeprefix(ENV_PREFIX).lower() for name in told} <= set(role.model_fields), container["name"]
        with monkeypatch.context() as patch:
            for name, value in told.items():
                if value:  # what comes from a Secret or from the pod itself is not known here
                    patch.setenv(name, value)
            load_settings(role)
        seen.add(container["name"])
    assert seen == {"controlplane", "envoy", "ext-authz", "ratelimit", "response-cache", "telemetry"}


def links(manifests: list[Manifest]) -> list[tuple[str, str, int]]:
    """Who is told to talk to whom: (Deployment, host, port)."""
    found = set()
    for deployment, container in containers(manifests):
        for name, value in environment(container).items():
            if (
                name.endswith("_ADDRESS")
                and ":" in value
                and not value.startswith("unix:")
                and not name.endswith("LISTEN_ADDRESS")
            ):
                host, port = value.rsplit(":", 1)
                found.add((deployment["metadata"]["name"], host, int(port)))
    found.add(("demo-api-gateway-ratelimit", "demo-api-gateway-valkey", 6379))
    return sorted(found)


def test_every_link_between_the_parts_is_served_and_allowed() -> None:
    """Behind each address that a pod is told is a Service with that port, and both ends have a policy for it."""
    manifests = render({})
    assert len(links(manifests)) == 6
    for source, target, port in links(manifests):
        (served,) = [p for p in one(manifests, "Service", target)["spec"]["ports"] if p["port"] == port]
        opened = [p for d, c in containers(manifests) if d["metadata"]["name"] == target for p in c["ports"]]
        assert {"name": served["targetPort"], "containerPort": port} in opened
        labels = {
            name: one(manifests, "Deployment", name)["spec"]["selector"]["matchLabels"] for name in (source, target)
        }
        out = one(manifests, "NetworkPolicy", source)["spec"]["egress"]
        into = one(manifests, "NetworkPolicy", target)["spec"]["ingress"]
        assert allowed(out, "to", labels[target], port), (source, target, port)
        assert allowed(into, "from", labels[source], port), (source, target, port)
        assert not allowed(into, "from", {"app": "a stranger"}, port)


def allowed(rules: list[Manifest], side: str, labels: Mapping[str, str], port: int) -> bool:
    """Whether one of the rules names that port and pods with those labels."""
    return any(
        {"port": port, "protocol": "TCP"} in rule.get("ports", [])
        and any(peer["podSelector"]["matchLabels"].items() <= labels.items() for peer in rule.get(side, []))
        for rule in rules
    )


def test_the_generated_certificate_fits_both_ends_of_every_grpc_link() -> None:
    """Signed by the authority beside it, good for every host that a part is told, as server and as client."""
    manifests = render({})
    data = one(manifests, "Secret", "demo-api-gateway-tls")["data"]
    authority, certificate = (
        x509.load_pem_x509_certificate(base64.b64decode(data[name])) for name in ("ca.crt", "tls.crt")
    )
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    hosts = {host for _, host, port in links(manifests) if port != 6379}
    assert hosts <= set(names.get_values_for_type(x509.DNSName))
    usages = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert usages >= {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


async def test_a_grpc_connection_can_be_made_with_the_generated_certificate(tmp_path: Path) -> None:
    """Both ends in the code that the parts use, under a name from the chart."""
    for name, value in one(render({}), "Secret", "demo-api-gateway-tls")["data"].items():
        (tmp_path / name).write_bytes(base64.b64decode(value))
    settings = PeerSettings(tls_dir=tmp_path)
    address = Address(host="127.0.0.1", port=free_port())
    server = grpc.aio.server()
    add_port(server, address, settings)
    await server.start()
    name = ("grpc.ssl_target_name_override", "demo-api-gateway-ext-authz")
    async with open_channel(address, settings, [name]) as channel:
        await asyncio.wait_for(channel.channel_ready(), timeout=10)
    await server.stop(0)


def test_the_rate_limiter_and_valkey_share_their_password() -> None:
    """The password inside the generated Redis URL is the one that Valkey is started with."""
    secret = one(render({}), "Secret", "demo-api-gateway")["stringData"]
    assert secret["redis-url"] == f"redis://:{secret['valkey-password']}@demo-api-gateway-valkey:6379/0"
    assert len(secret["valkey-password"]) >= 40
    assert len(secret["admin-token"]) >= 40


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.removesuffix(".in.yaml"))
def test_every_pod_is_confined(case: Path) -> None:
    """What the restricted Pod Security Standard asks, a read-only root besides, and no service-account token."""
    manifests = render(case_values(case))
    assert any(containers(manifests))
    for deployment, container in containers(manifests):
        pod = deployment["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
