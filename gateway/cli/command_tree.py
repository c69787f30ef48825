"""Every command with its options, as plain values. Imports every command's module."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer
from typer.main import get_command

from gateway.cli.commands import COMMANDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option."""

    names: tuple[str, ...]
    takes_value: bool
    choices: tuple[str, ...]
    """What its value may be; empty when that is not a short list."""
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One command, or one group of commands."""

    path: tuple[str, ...]
    """The words after ``gateway``."""
    help: str
    """One line."""
    children: tuple[str, ...]
    options: tuple[Option, ...]
    choices: tuple[str, ...]
    """What its arguments may be."""


def command_tree() -> list[Node]:
    """The whole command line, ``gateway`` itself first."""
    app = typer.Typer()
    for module in dict.fromkeys(command.module for command in COMMANDS):
        importlib.import_module(module).register(app)
    return list(_nodes(get_command(app), ()))


def _nodes(command: Any, path: tuple[str, ...]) -> Iterator[Node]:
    children = getattr(command, "commands", {})
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    yield Node(
        path=path,
        help=_first_line(command.help),
        children=tuple(sorted(children)),
        options=tuple(_option(one) for one in command.params if one.param_type_name == "option" and path),
        choices=tuple(choice for one in arguments for choice in _choices(one)),
    )
    for name in sorted(children):
        yield from _nodes(children[name], (*path, name))


def _option(parameter: Any) -> Option:
    return Option(
        names=(*parameter.opts, *parameter.secondary_opts),
        takes_value=not getattr(parameter, "is_flag", False),
        choices=tuple(_choices(parameter)),
        help=_first_line(parameter.help),
    )


def _choices(parameter: Any) -> Iterator[str]:
    # Typer has Click's types up to some version, and its own since.
    kind = getattr(parameter, "type_descriptor", None) or getattr(parameter, "type", None)
    yield from (str(getattr(one, "value", one)) for one in getattr(kind, "choices", None) or ())


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
