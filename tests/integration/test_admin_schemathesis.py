"""Schemathesis asks the admin API all that its description allows, and much that it does not: every check agrees."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from controlplane.limit_state import LimitStates
from controlplane.purges import PurgeStore
from controlplane.revocations import RevocationStore
from servicekit.address import Address
from servicekit.http import HttpServer
from servicekit.redis_client import redis_client
from tests.harness.admin import TOKEN, running_admin
from tests.harness.ports import free_port
from tests.harness.valkey import running_valkey

_HOOKS = """
import schemathesis
schemathesis.serializer.alias("application/x-ndjson", "text/plain")
"""
_CONFIG = f"""
hooks = "admin_api_hooks"
[auth.openapi.bearer]
bearer = "{TOKEN}"
[generation]
allow-extra-parameters = false   # headers that an operation does not know are other people's business
[checks]
# A document that fits the schema may still name what is not there; a state may have changed.
positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "404", "406", "409", "412", "415", "422"]
negative_data_rejection.expected-statuses = ["4xx"]
"""
_SAME_CODE = "/(authentication|listeners|upstreams|node_groups|plan)"
"""Sections that are served by the code that serves routes (a list) and rate limits (a mapping); and what is read as
`/validate` reads it. It is a matter of time: all of them together pass too."""
_ENDLESS = "/events"


@pytest.mark.timeout(600)
async def test_the_api_does_what_its_description_says(tmp_path: Path) -> None:
    """All checks of schemathesis, in all its phases, against a real server with a real store."""
    (tmp_path / "admin_api_hooks.py").write_text(_HOOKS)
    (tmp_path / "schemathesis.toml").write_text(_CONFIG)
    with running_valkey() as valkey:
        store = RevocationStore(redis_client(SecretStr(valkey.url), deadline=2))
        purges = PurgeStore(redis_client(SecretStr(valkey.url), deadline=2))
        states = LimitStates(redis_client(SecretStr(valkey.url), deadline=2))
        try:
            await _check(tmp_path, store, purges, states)
        finally:
            await store.aclose()
            await purges.aclose()
            await states.aclose()


async def _check(tmp_path: Path, revocations: RevocationStore, purges: PurgeStore, states: LimitStates) -> None:
    async with running_admin(tmp_path, revocations=revocations, purges=purges, limit_states=states) as admin:
        (tmp_path / "openapi.json").write_text(json.dumps(admin.api.openapi()))
        port = free_port()
        server = HttpServer(admin.app, Address(host="127.0.0.1", port=port))
        server.listen()
        serving = asyncio.create_task(server.run_until_stopped())
        try:
            code, output = await _schemathesis(tmp_path, f"http://127.0.0.1:{port}")
        finally:
            server.should_exit = True
            await serving
        verdict = (await admin.http.get("/api/v1/audit/verify")).json()
    assert code == 0, output[-8000:]
    assert verdict["whole"]
    assert verdict["count"] > 50, "hardly anything was written"


async def _schemathesis(folder: Path, url: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", url]
    options = ["--checks", "all", "--max-examples", "2", "--seed", "1", "--continue-on-failure", "--no-color"]
    left_out = ["--exclude-path-regex", f"{_SAME_CODE}|{_ENDLESS}"]
    process = await asyncio.create_subprocess_exec(
        *command,
        *options,
        *left_out,
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "", "HOME": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")
