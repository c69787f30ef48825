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
    """Helm looks up what it generated before; on an empty cluster it makes something new."""
    with cluster() as kubernetes:
        first = kubernetes.render({})
        other = kubernetes.render({})
        kubernetes.keep_secrets(first)
        upgraded = kubernetes.render({"gateway": {"autoscaling": {"maxReplicas": 20}}})
    for name in ("demo-api-gateway", "demo-api-gateway-tls"):
        assert secret(upgraded, name) == secret(first, name)
        assert secret(other, name) != secret(first, name)


def test_a_value_that_is_given_wins_over_what_was_generated() -> None:
    """A token in the values replaces the generated one; the rest is kept."""
    with cluster() as kubernetes:
        first = kubernetes.render({})
        kubernetes.keep_secrets(first)
        upgraded = kubernetes.render({"admin": {"token": "a-token-of-our-own"}})
    assert secret(upgraded, "demo-api-gateway") == {
        **secret(first, "demo-api-gateway"),
        "admin-token": b"a-token-of-our-own",
    }
