"""The chart, rendered by the real Helm engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import helm_python
import yaml

CHART = Path(__file__).parents[2] / "helm" / "api-gateway"

Manifest = dict[str, Any]


def render(values: Mapping[str, Any]) -> list[Manifest]:
    """Every object that an installation called ``demo`` in namespace ``prod`` consists of.

    Raises:
        helm_python.HelmError: the values are refused.
    """
    with helm_python.Chart.load(CHART) as chart:
        files = chart.render(dict(values), name="demo", namespace="prod")
    texts = [text for name, text in sorted(files.items()) if name.endswith(".yaml")]
    manifests = [manifest for text in texts for manifest in yaml.safe_load_all(text) if manifest]
    return sorted(manifests, key=lambda manifest: (manifest["kind"], manifest["metadata"]["name"]))


def one(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The one object of that kind and name."""
    (found,) = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name]
    return found
