"""Completion in real shells."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

import pytest
from typer.testing import CliRunner

from gateway.cli.command_tree import command_tree
from gateway.cli.commands import COMMANDS, build_app


@cache
def script(shell: str) -> str:
    """What the command prints."""
    result = CliRunner().invoke(build_app(["completion"]), ["completion", shell])
    assert result.exit_code == 0, result.output
    return result.output


def bash(*words: str) -> set[str]:
    """What bash offers for the last of ``words``."""
    quoted = " ".join(f"'{word}'" for word in words)
    code = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _gateway; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(
        ["bash", "--norc", "-c", f"{script('bash')}\n{code}"], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_commands_options_and_values() -> None:
    """At every depth, and after an option's value."""
    assert bash("gateway", "") == {command.name for command in COMMANDS}
    assert bash("gateway", "pla") == {"plan"}
    assert bash("gateway", "nodes", "") == {"show"}
    assert bash("gateway", "audit", "--h") == {"--help"}
    assert bash("gateway", "audit", "log", "--") == {"--limit", "--before", "--context", "--output", "--help"}
    assert bash("gateway", "log", "--output", "") == {"text", "json", "yaml"}
    assert bash("gateway", "get", "-o", "json", "ro") == {"routes"}
    assert bash("gateway", "completion", "") == {"bash", "zsh", "fish"}


def test_bash_completes_files_where_nothing_else_is_known(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Documents are files."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "gateway.yaml").touch()
    assert bash("gateway", "apply", f"{folder}/g") == {f"{folder}/gateway.yaml"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_knows_every_command_and_option(shell: str) -> None:
    """Also of shells that this machine has not."""
    text = script(shell)
    for node in command_tree():
        assert "/".join(node.path) in text
        for option in node.options:
            assert all(name.lstrip("-") in text for name in option.names)


@pytest.mark.parametrize("shell", [shell for shell in ("bash", "zsh", "fish") if shutil.which(shell)])
def test_a_shell_can_read_its_script(shell: str) -> None:
    """Its own syntax check; a shell that is not here is not asked."""
    subprocess.run([shell, "-n"], input=script(shell), text=True, check=True, timeout=20)
