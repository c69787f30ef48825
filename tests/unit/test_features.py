"""The table of features names tests that exist, and every key of a route that does something has a row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (?P<feature>[^|]+) \| (?P<key>[^|]+) \| [^|]+ \| `(?P<test>[^`]+)` \|$", re.MULTILINE)
ROWS = [row.groupdict() for row in ROW.finditer((ROOT / "docs/reference/features.md").read_text())]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["feature"])
def test_every_feature_has_its_test(row: dict[str, str]) -> None:
    """A function of that name in that file."""
    file, _, name = row["test"].partition("::")
    tree = ast.parse((ROOT / "tests/integration" / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_table_is_read() -> None:
    """Every line of it but the head is a row."""
    lines = [line for line in (ROOT / "docs/reference/features.md").read_text().splitlines() if line.startswith("| ")]
    assert len(ROWS) == len(lines) - 1 > 0
