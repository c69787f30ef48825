"""The documents that users start from, as the real Envoy sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from controlplane.config import load_document
from controlplane.resolve import resolve
from controlplane.translate import translate_release
from tests.harness.envoy import envoy_settings, static_bootstrap, validate

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*/gateway.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
def test_envoy_accepts_every_example(example: Path, tmp_path: Path) -> None:
    """From the text to what Envoy would run."""
    gateway = resolve(load_document(example.read_bytes(), origin=str(example)), listen_address="127.0.0.1")
    for snapshot in translate_release(gateway).groups.values():
        validate(static_bootstrap(snapshot, envoy_settings(tmp_path)))
