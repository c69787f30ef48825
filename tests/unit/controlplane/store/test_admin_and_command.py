"""The history over HTTP, and what the command shows of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import typer
import uvicorn
from typer.testing import CliRunner, Result

from gateway.cli.revisions import register
from tests.harness.admin import TOKEN, running_admin
from tests.harness.ports import free_port

DOCUMENT = """\
listeners:
  - {name: http, port: 8000}
upstreams:
  - name: resumes
    endpoints: ["http://127.0.0.1:8048"]
routes:
  - name: all
    match: {path_prefix: /}
    upstream: resumes
    timeout: TIMEOUT
"""


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Three revisions behind the API: two good documents, and one that is refused today."""
    async with running_admin(tmp_path, document=None) as admin:
        assert admin.store is not None
        for text in (DOCUMENT.replace("TIMEOUT", "1s"), DOCUMENT.replace("TIMEOUT", "2s"), "routes: 5\n"):
            raw = text.encode()
            digest = hashlib.sha256(raw).hexdigest()
            await admin.store.revisions.record(
                raw, origin="gateway.yaml", author="ann", message="why \x1b[31m", digest=digest
            )
        # It listens from here on, so nobody has to wait for the server to be up.
        listening = socket.create_server(("127.0.0.1", 0))
        serving = uvicorn.Server(uvicorn.Config(admin.app, log_level="error", lifespan="off"))
        task = asyncio.create_task(serving.serve(sockets=[listening]))
        monkeypatch.setenv("GATEWAY_ADMIN_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
        monkeypatch.setenv("GATEWAY_ADMIN_TOKEN", TOKEN)
        yield
        serving.should_exit = True
        await task


async def run(*arguments: str) -> Result:
    """The command, in a thread beside the server."""
    app = typer.Typer()
    register(app)
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


@pytest.mark.usefixtures("server")
async def test_log_lists_newest_first_and_pages() -> None:
    """Each page says where the next begins; control characters in a message stay harmless."""
    page = json.loads((await run("log", "--limit", "2", "--output", "json")).output)
    assert [one["number"] for one in page["items"]] == [3, 2]
    assert page["before"] == 2
    last = json.loads((await run("log", "--before", "2", "--output", "json")).output)
    assert ([one["number"] for one in last["items"]], last["before"]) == ([1], None)
    shown = (await run("log", "--limit", "2")).output
    assert "older ones: gateway log --before 2" in shown
    assert "\x1b" not in shown


@pytest.mark.usefixtures("server")
async def test_show_prints_the_text_as_it_was_written() -> None:
    """What comes out can be applied again."""
    assert (await run("show", "1")).output == DOCUMENT.replace("TIMEOUT", "1s")


@pytest.mark.usefixtures("server")
async def test_diff_says_what_changes_in_meaning_and_in_xds() -> None:
    """The changed field with both values, and the route configuration that carries it."""
    result = await run("diff", "1", "2")
    assert result.output.splitlines()[:2] == ["~ routes all", "    timeout: 1.0 -> 2.0"]
    assert "xDS envoy.config.route.v3.RouteConfiguration" in result.output
    assert (await run("diff", "1", "1")).output == "no difference in meaning\n"


@pytest.mark.usefixtures("server")
async def test_what_cannot_be_shown_is_said_in_words() -> None:
    """A number that is not there, a revision that is refused today, a number that is none."""
    assert "There is no revision 9" in str((await run("show", "9")).exception)
    assert "Revision 3 was right once" in str((await run("diff", "1", "3")).exception)
    assert "does not have the form" in str((await run("show", str(2**70))).exception)


async def test_an_api_that_is_away_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback when nothing listens."""
    monkeypatch.setenv("GATEWAY_ADMIN_URL", f"http://127.0.0.1:{free_port()}")
    assert "does not answer" in str((await run("log")).exception)
