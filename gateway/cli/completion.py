"""``gateway completion``: scripts that let a shell complete commands, options and their values."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Shell(StrEnum):
    """For whom."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(completion)


def completion(shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish.", metavar="SHELL")]) -> None:
    """Print a script that makes a shell complete this command.

    bash: gateway completion bash > ~/.local/share/bash-completion/completions/gateway
    """
    from gateway.cli import completion_scripts
    from gateway.cli.command_tree import command_tree

    render = {
        Shell.BASH: completion_scripts.bash,
        Shell.ZSH: completion_scripts.zsh,
        Shell.FISH: completion_scripts.fish,
    }
    typer.echo(render[shell](command_tree()), nl=False)
