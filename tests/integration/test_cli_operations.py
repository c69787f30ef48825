"""Every operation of the admin API has a command: the table is held to the API's own description."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.harness.command import TOKEN, ControlPlane, command, control_plane
from tests.harness.command_table import COMMANDS
from tests.harness.http_answers import Answered, http_answers

_BASE = "/api/v1"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane."""
    with control_plane(tmp_path_factory.mktemp("plane")) as running:
        yield running


def test_every_operation_of_the_api_has_a_command(plane: ControlPlane) -> None:
    """A new operation without one fails here."""
    answer = httpx.get(
        f"http://{plane.admin}{_BASE}/openapi.json", headers={"authorization": f"Bearer {TOKEN}"}, timeout=20
    )
    paths = answer.raise_for_status().json()["paths"]
    operations = {
        (method.upper(), path.removeprefix(_BASE))
        for path, methods in paths.items()
        if path.startswith(_BASE)
        for method in methods
        if method in {"get", "put", "post", "patch", "delete"}
    }
    assert operations == set(COMMANDS)


@pytest.mark.parametrize("operation", COMMANDS, ids=" ".join)
def test_the_command_asks_for_that_operation(operation: tuple[str, str], tmp_path: Path) -> None:
    """Its method and its path, with any name in it; and a refusal is one line and status 1."""
    document = tmp_path / "gateway.yaml"
    document.write_text("a: 1\n")
    words = [str(document) if word == "DOCUMENT" else word for word in COMMANDS[operation]]
    refused = Answered(status=418, headers={"content-type": "application/problem+json"}, body=b'{"detail": "No tea."}')
    with http_answers(lambda _: refused) as (url, asked):
        told = {"GATEWAY_ADMIN_URL": url, "GATEWAY_ADMIN_TOKEN": TOKEN}
        done = command(*words, env=told | {"XDG_CONFIG_HOME": str(tmp_path)})
    assert (done.code, done.out, done.err) == (1, "", "gateway: No tea.\n")
    method, path = operation
    pattern = re.sub(r"\{\w+\}", "[^/]+", f"{_BASE}{path}")
    assert asked[0].method == method
    assert re.fullmatch(pattern, asked[0].path.partition("?")[0])
    assert asked[0].headers["authorization"] == f"Bearer {TOKEN}"
