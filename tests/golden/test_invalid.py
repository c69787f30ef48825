"""Documents with mistakes in, problems out."""

from __future__ import annotations

from pathlib import Path

import yaml

from controlplane.config import ConfigError, Problem, load_document
from controlplane.resolve import resolve
from tests.harness.golden import Golden, cases, to_yaml


@cases("invalid", "*.yaml")
def test_every_mistake_is_named(case: Path, golden: Golden) -> None:
    """Each with its line and column, a stable code, and what to do."""
    text = yaml.safe_load(case.read_text(encoding="utf-8"))["document"]
    found = [_line(problem) for problem in _problems(text)]
    assert found, "the document is valid"
    golden.check_file(case, to_yaml({"document": text, "problems": found}))


def _problems(text: str) -> tuple[Problem, ...]:
    try:
        resolve(load_document(text.encode(), origin="gateway.yaml"), listen_address="127.0.0.1")
    except ConfigError as error:
        return error.problems
    return ()


def _line(problem: Problem) -> str:
    place = f"{problem.position.line}:{problem.position.column}" if problem.position else "-"
    hint = f" ({problem.hint})" if problem.hint else ""
    return f"{place} {problem.code}: {problem.message}{hint}"
