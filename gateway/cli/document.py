"""``gateway validate`` and ``gateway schema``: the document, checked and described."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from controlplane.config import ConfigError, Problem, json_schema, load_document
from controlplane.config.markdown import reference
from controlplane.config.problems import path_text
from controlplane.config.yaml_text import LINE_BREAK, MAX_BYTES
from controlplane.model import Gateway
from controlplane.resolve import resolve

_ANY_ADDRESS = "127.0.0.1"
"""Stands for the process setting, which decides nothing about validity."""

_WIDEST_LINE = 160


class Output(StrEnum):
    """Who reads the answer."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What came of a document: the gateway, or the problems."""

    source: bytes
    gateway: Gateway | None
    problems: tuple[Problem, ...] = ()
    unlisted: int = 0
    """How many more there are."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(validate)
    app.command()(schema)


def validate(
    file: Annotated[Path, typer.Argument(help="The document.", metavar="FILE")],
    output: Annotated[Output, typer.Option(help="For people, or for programs.")] = Output.TEXT,
) -> None:
    """Check a document: every mistake with its line and column. Exits with 1 if there is one."""
    verdict = _check(file)
    if output is Output.JSON:
        typer.echo(json.dumps(_for_programs(verdict), indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(_for_people(verdict)))
    if verdict.gateway is None:
        raise typer.Exit(1)


def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="The same as a page for people.")] = False,
) -> None:
    """Print the JSON Schema of the document. With it editors complete and check what is written."""
    typer.echo(reference() if markdown else json.dumps(json_schema(), indent=2, ensure_ascii=False), nl=not markdown)


def _check(file: Path) -> _Verdict:
    origin = str(file)
    try:
        with file.open("rb") as opened:
            source = opened.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        return _Verdict(b"", None, (Problem(path=(), code="unreadable", message=message, origin=origin),))
    try:
        gateway = resolve(load_document(source, origin=origin), listen_address=_ANY_ADDRESS)
    except ConfigError as error:
        return _Verdict(source, None, error.problems, error.unlisted)
    return _Verdict(source, gateway)


def _for_people(verdict: _Verdict) -> Iterable[str]:
    if verdict.gateway is not None:
        yield "ok: " + ", ".join(_counted(count, name) for name, count in _counts(verdict.gateway).items())
        return
    lines = LINE_BREAK.split(verdict.source.decode("utf-8-sig", errors="replace"))
    for problem in verdict.problems:
        yield str(problem)
        yield from _excerpt(lines, problem)
    yield _counted(len(verdict.problems), "problems") + (f", and {verdict.unlisted} more" if verdict.unlisted else "")


def _counted(count: int, name: str) -> str:
    words = name.replace("_", " ")
    return f"{count} {words.removesuffix('s') if count == 1 else words}"


def _excerpt(lines: list[str], problem: Problem) -> Iterable[str]:
    """The line at fault, and a caret below the column."""
    position = problem.position
    if position is None or position.line > len(lines):
        return
    line = "".join(character if character.isprintable() else " " for character in lines[position.line - 1])
    begin = max(0, position.column - _WIDEST_LINE // 2) if len(line) > _WIDEST_LINE else 0
    yield f"    {line[begin : begin + _WIDEST_LINE]}"
    yield f"    {' ' * (position.column - 1 - begin)}^"


def _for_programs(verdict: _Verdict) -> dict[str, object]:
    if verdict.gateway is not None:
        return {"ok": True, "counts": _counts(verdict.gateway), "problems": []}
    return {
        "ok": False,
        "problems": [_problem(problem) for problem in verdict.problems],
        "unlisted": verdict.unlisted,
    }


def _problem(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.origin,
        "line": problem.position.line if problem.position else None,
        "column": problem.position.column if problem.position else None,
        "path": path_text(problem.path),
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
    }


def _counts(gateway: Gateway) -> dict[str, int]:
    return {
        "listeners": len(gateway.listeners),
        "upstreams": len(gateway.upstreams),
        "routes": len(gateway.routes),
        "identity_providers": len(gateway.identity_providers),
        "rate_limits": len(gateway.rate_limits),
    }
