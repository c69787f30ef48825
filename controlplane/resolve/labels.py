"""Labels of endpoints, in an order that does not depend on how they were written."""

from __future__ import annotations

from collections.abc import Mapping

from controlplane import model


def labels(written: Mapping[str, str]) -> model.Labels:
    """Sorted."""
    return tuple(sorted(written.items()))
