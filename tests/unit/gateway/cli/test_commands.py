"""The command line: what it says, what it imports, how it ends."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from gateway.cli.commands import COMMANDS, build_app
from gateway.cli.demo import parse_claim
from gateway.cli.durations import parse_duration
from gateway.errors import CommandError
from gateway.roles import ROLES

SERVICES = {"controlplane", "ext_authz", "ratelimit_service", "telemetry"}


def gateway(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as users do."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "gateway", *arguments],
        env={**os.environ, **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("name", sorted({command.name for command in COMMANDS}))
def test_the_list_of_commands_says_what_each_command_says_of_itself(name: str) -> None:
    """The list is written by hand so that it needs no import; here it is held to the commands."""
    (command,) = [one for one in COMMANDS if one.name == name]
    app = typer.Typer()
    importlib.import_module(command.module).register(app)
    groups = {group.name: group.typer_instance.info.help for group in app.registered_groups if group.typer_instance}
    functions = {
        c.name or c.callback.__name__.replace("_", "-"): c.callback.__doc__
        for c in app.registered_commands
        if c.callback
    }
    own = str((groups | functions)[name])
    assert own.startswith(command.help), own


def test_help_names_every_command_and_imports_none() -> None:
    """Neither pydantic nor gRPC nor any package of ours but the command itself."""
    result = CliRunner().invoke(build_app(["--help"]), ["--help"], env={"COLUMNS": "200"})
    assert all(command.name in result.output for command in COMMANDS)
    code = "import sys; from gateway.cli.commands import build_app; build_app(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=30, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"pydantic", "grpc", "httpx", "servicekit", *SERVICES}


def test_the_help_of_a_command_imports_only_the_command_line() -> None:
    """What a command needs is imported when it runs: `--help` of each is as fast as that of all."""
    modules = ", ".join(sorted({command.module for command in COMMANDS}))
    code = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=30, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"pydantic", "grpc", "httpx", "yaml", "sqlalchemy", "fastapi", "servicekit", *SERVICES}


@pytest.mark.parametrize("package", sorted(SERVICES))
def test_a_process_of_one_role_holds_no_code_of_another(package: str) -> None:
    """Each role's entry point imports its own package and the ground floor."""
    code = f"import sys, gateway.cli.roles, {package}.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=30, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded & SERVICES == {package}
    assert "envoy_data_plane" not in loaded


def test_a_wrong_setting_is_one_line_and_status_one() -> None:
    """It names the variable; no traceback."""
    done = gateway("telemetry", GATEWAY_TELEMETRY_HTTP_BIND="nonsense")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("gateway: GATEWAY_TELEMETRY_HTTP_BIND: 'nonsense' is not an address")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["nonsense"], ["certs"], ["up", "--nonsense"]])
def test_a_wrong_call_ends_with_two(arguments: list[str]) -> None:
    """Scripts can tell it from a problem."""
    assert gateway(*arguments).returncode == 2


def test_settings_tell_where_values_come_from_and_hide_secrets(tmp_path: Path) -> None:
    """Environment over .env over default; a setting of several processes stands once."""
    (tmp_path / ".env").write_text("GATEWAY_LOG_LEVEL=WARNING\nGATEWAY_ADMIN_BIND=127.0.0.1:9001\n")
    done = gateway(
        "settings", "--output", "json", cwd=tmp_path, GATEWAY_LOG_LEVEL="ERROR", GATEWAY_ADMIN_TOKEN="s3cret"
    )
    rows = {(row["variable"], tuple(row["roles"])): row for row in json.loads(done.stdout)}
    assert "s3cret" not in done.stdout
    (level,) = [row for (variable, _), row in rows.items() if variable == "GATEWAY_LOG_LEVEL"]
    assert (level["value"], level["source"]) == ("ERROR", "environment")
    assert level["roles"] == [role.name for role in ROLES]
    admin = rows["GATEWAY_ADMIN_BIND", ("up", "controlplane")]
    assert (admin["value"], admin["source"]) == ("127.0.0.1:9001", ".env")
    table = gateway(
        "settings", "--role", "controlplane", cwd=tmp_path, GATEWAY_ADMIN_TOKEN="s3cret", COLUMNS="160"
    ).stdout
    assert "GATEWAY_ADMIN_TOKEN" in table
    assert "********" in table
    assert "s3cret" not in table


def test_settings_of_a_role_that_is_none_name_those_there_are() -> None:
    """One line."""
    done = gateway("settings", "--role", "nonsense")
    assert done.returncode == 1
    assert done.stderr.startswith("gateway: there is no role 'nonsense': there are up, controlplane, ")


def test_a_token_without_a_provider_is_one_line() -> None:
    """It says what has to run."""
    done = gateway("demo", "token", "--sub", "alice", "--issuer", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr == (
        "gateway: no identity provider answers at http://127.0.0.1:1: is `gateway up --demo` running?\n"
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("5s", 5), ("-5m", -300), ("1.5h", 5400), ("2d", 172800)]
)
def test_durations_read_as_in_the_document(text: str, seconds: float) -> None:
    """And may be negative, for a token that has expired."""
    assert parse_duration(text) == seconds


@given(st.text(max_size=20))
def test_other_durations_are_refused_in_words(text: str) -> None:
    """Whatever is written, it is a duration or one clear error."""
    with contextlib.suppress(CommandError):
        assert isinstance(parse_duration(text), float)


def test_claims_are_json_where_they_can_be() -> None:
    """Numbers, lists and booleans, or else the text."""
    assert parse_claim("level=3") == ("level", 3)
    assert parse_claim('roles=["a"]') == ("roles", ["a"])
    assert parse_claim("role=admin=yes") == ("role", "admin=yes")
    for wrong in ("role", "=x"):
        with pytest.raises(CommandError, match="is not a claim"):
            parse_claim(wrong)
