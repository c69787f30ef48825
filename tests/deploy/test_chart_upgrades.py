"""What the chart generates outlives an upgrade."""

from __future__ import annotations

import base64

from tests.harness.chart import Manifest, one
from tests.harness.kubernetes import cluster


def secret(manifests: list[Manifest], name: str) -> dict[str, bytes]:
    """What a Secret holds, decoded."""
    manifest = one(manifests, "Secret", name)
    encoded = {key: base64.b64decode(value) for key, value in manifest.get("data", {}).items()}
    return encoded | {key: value.encode() for key, value in manifest.get("stringData", {}).items()}


def test_an_upgrade_keeps_the_certificate_the_token_and_the_password() -> None:
    """Helm looks up what it generated before; only a value that is given replaces it."""
    with cluster() as kubernetes:
        first = kubernetes.render({})
        kubernetes.keep_secrets(first)
        upgraded = kubernetes.render({"gateway": {"autoscaling": {"maxReplicas": 20}}})
        given = kubernetes.render({"admin": {"token": "a-token-of-our-own"}})
    for name in ("demo-api-gateway", "demo-api-gateway-tls"):
        assert secret(upgraded, name) == secret(first, name)
    assert secret(given, "demo-api-gateway") == {
        **secret(first, "demo-api-gateway"),
        "admin-token": b"a-token-of-our-own",
    }
