"""The table of docs/reference/xds.md and the tests say the same of each other."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[4]
SUITES = ("tests/unit/controlplane/xds", "tests/conformance", "tests/integration/xds")
RULES = range(1, 38)

_MENTION = re.compile(r"[Rr]ules? ((?:\d+(?:, | and | to )?)+)")
_ROW = re.compile(r"^\| (\d+) \| .*? \| (.*) \| (.*) \|$", re.MULTILINE)


def by_rule() -> dict[int, list[str]]:
    """Which tests name a rule in their docstring, as ``file::test``."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for suite in SUITES:
        for path in sorted((ROOT / suite).glob("test_*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
                    for rule in rules_in(ast.get_docstring(node) or ""):
                        found[rule].append(f"{path.stem.removeprefix('test_')}::{node.name.removeprefix('test_')}")
    return {rule: sorted(set(names)) for rule, names in found.items()}


def rules_in(text: str) -> Iterator[int]:
    """``Rules 20 to 22`` and ``Rules 2 and 9``."""
    for match in _MENTION.finditer(text):
        for first, last in re.findall(r"(\d+)(?: to (\d+))?", match[1]):
            yield from range(int(first), int(last or first) + 1)


def test_every_rule_has_its_row_and_every_row_its_tests() -> None:
    """A row that has no test says why."""
    text = (ROOT / "docs/reference/xds.md").read_text()
    rows = {int(number): (does, re.findall(r"`(\w+::\w+)`", tests)) for number, does, tests in _ROW.findall(text)}
    assert list(rows) == list(RULES)
    found = by_rule()
    for number, (does, tests) in rows.items():
        assert tests == found.get(number, []), f"rule {number}"
        assert tests or does.startswith("**Not "), f"rule {number} is neither tested nor left out"
