"""Documents in, models out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controlplane.config import load_document
from controlplane.resolve import resolve
from tests.harness.golden import Golden, cases, to_yaml


@cases("resolve", "*/document.yaml")
def test_a_document_means_this(case: Path, golden: Golden) -> None:
    """The whole model, every default applied."""
    document = load_document(case.read_bytes(), origin=case.name)
    model = resolve(document, listen_address="127.0.0.1")
    golden.check_folder(case.parent, {"model.yaml": to_yaml(_plain(model))}, inputs=["document.yaml"])


def _plain(value: Any) -> Any:
    """Dataclasses, mappings and tuples as what YAML knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
