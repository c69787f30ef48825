"""``gateway validate`` and ``gateway schema``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from controlplane.config import json_schema
from controlplane.config.markdown import reference
from gateway.cli.document import register

GOOD = """\
listeners: [{name: http, port: 8000}]
upstreams: [{name: echo, endpoints: ["http://127.0.0.1"]}]
routes: [{match: {path_prefix: /}, upstream: echo}]
"""


def run(*arguments: str) -> Result:
    """Run a command of this module."""
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A good document."""
    path = tmp_path / "gateway.yaml"
    path.write_text(GOOD)
    return path


def test_a_good_document_is_counted(document: Path) -> None:
    """One line, exit code 0."""
    result = run("validate", str(document))
    assert result.exit_code == 0
    assert result.output == "ok: 1 listener, 1 upstream, 1 route, 0 identity providers, 0 rate limits\n"


def test_what_is_perhaps_not_meant_is_shown(document: Path) -> None:
    """Where it stands, and the document is good all the same."""
    spare = "upstreams: [{name: spare, endpoints: ['http://127.0.0.1'], fallback: echo}, "
    document.write_text(GOOD.replace("upstreams: [", spare))
    result = run("validate", str(document))
    assert result.exit_code == 0
    first, warning, *_ = result.output.splitlines()
    assert first.startswith("ok: 1 listener, 2 upstreams")
    assert warning == f"{document}:2:20: warning: nothing uses 'spare' of upstreams"
    (said,) = json.loads(run("validate", str(document), "--output", "json").output)["warnings"]
    assert (said["code"], said["line"], said["column"]) == ("unused", 2, 20)


def test_a_mistake_is_shown_where_it_stands(document: Path) -> None:
    """The line, and a caret below the column; exit code 1."""
    document.write_text(GOOD.replace("upstream: echo", "upstream: eco"))
    result = run("validate", str(document))
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{document}:3:46: nothing in upstreams is called 'eco' (did you mean 'echo'?)",
        "    routes: [{match: {path_prefix: /}, upstream: eco}]",
        "                                                 ^",
        "1 problem",
    ]


def test_the_caret_stays_below_a_column_far_to_the_right(document: Path) -> None:
    """Of a very long line only a part is shown."""
    document.write_text("listeners: [" + "{name: http, port: 8000}, " * 50 + "{name: http, prot: 8000}]\n")
    lines = run("validate", str(document)).output.splitlines()
    (problem,) = [number for number, line in enumerate(lines) if "'prot'" in line]
    shown, caret = lines[problem + 1], lines[problem + 2]
    assert len(shown) < 200
    assert shown[caret.index("^") :].startswith("prot: 8000")


@pytest.mark.parametrize("source", [b"a: \xff", b"a: \x1b[31m", b"", b"a: [", "a: 'ü\u2028".encode()])
def test_whatever_is_in_the_file_can_be_shown(document: Path, source: bytes) -> None:
    """And nothing in it reaches the terminal as a control sequence."""
    document.write_bytes(source)
    result = run("validate", str(document))
    assert result.exit_code == 1
    assert "\x1b" not in result.output


def test_a_missing_file_is_a_problem_like_others(tmp_path: Path) -> None:
    """One line, no traceback."""
    result = run("validate", str(tmp_path / "none.yaml"))
    assert result.exit_code == 1
    assert result.output.splitlines()[0] == f"{tmp_path}/none.yaml: the file cannot be read: No such file or directory"


def test_programs_get_json(document: Path) -> None:
    """Good or bad."""
    good = run("validate", str(document), "--output", "json")
    assert good.exit_code == 0
    assert json.loads(good.output)["counts"]["routes"] == 1
    document.write_text(GOOD.replace("port: 8000", "port: 0"))
    bad = run("validate", str(document), "--output", "json")
    assert bad.exit_code == 1
    assert json.loads(bad.output) == {
        "ok": False,
        "problems": [
            {
                "file": str(document),
                "line": 1,
                "column": 32,
                "path": "listeners[0].port",
                "code": "out-of-range",
                "message": "this has to be at least 1",
                "hint": None,
            }
        ],
        "unlisted": 0,
    }


def test_the_schema_is_printed() -> None:
    """As JSON, or as the page that stands in the repository."""
    assert json.loads(run("schema").output) == json_schema()
    assert run("schema", "--markdown").output == reference()
