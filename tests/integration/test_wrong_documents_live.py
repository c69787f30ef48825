"""Saving one wrong document after another: what was live stays live, and the status names each one's lines."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from controlplane.config import ConfigError, load_document
from controlplane.config.yaml_text import parse_yaml
from controlplane.resolve import resolve
from tests.chaos.random_document import OPEN, RandomDocument, Surroundings
from tests.harness.envoy import short_folder
from tests.harness.fleet import Fleet
from tests.harness.ports import free_port
from tests.harness.tireless_backend import tireless_backend
from tests.harness.unreadable_documents import unreadable_documents
from tests.harness.written_lines import Inline, Written
from tests.harness.wrong_documents import Wrong, wrong_documents

pytestmark = pytest.mark.timeout(120)

SAMPLES = 30
REFUSED_WITHIN = 10.0
ONLY_ENVOY_KNOWS = (r"\p{Nonsense}", r"[^\P{Nonsense}]")
"""Classes of characters that Unicode has not."""


@asynccontextmanager
async def running_fleet() -> AsyncIterator[tuple[Fleet, dict[str, Any], int]]:
    """A control plane that follows a file, an Envoy that follows it, the document as data, and Envoy's port."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(short_folder())
        port, backend = free_port(), free_port()
        await stack.enter_async_context(tireless_backend(["127.0.0.1"], backend))
        around = Surroundings(
            port=port,
            spare_ports=(free_port(),),
            backends=(f"http://127.0.0.1:{backend}",),
            issuer="https://id.example",
            audience="a",
            jwks_uri="http://127.0.0.1:1/jwks",
        )
        document = RandomDocument(7, around)
        for _ in range(60):
            document.change()
        fleet = Fleet(folder, redis_url="redis://127.0.0.1:1/0")
        fleet.write(document.text)
        await stack.enter_async_context(fleet.client)
        await asyncio.to_thread(stack.enter_context, fleet)
        await asyncio.to_thread(stack.enter_context, fleet.envoy("edge"))
        yield fleet, parse_yaml(document.text.encode(), origin="").data, port


def problems(wrong: Wrong, origin: str) -> set[str]:
    """Where the mistakes are, as the control plane should say it."""
    try:
        resolve(load_document(wrong.text, origin=origin), listen_address="127.0.0.1")
    except ConfigError as error:
        return {problem.where for problem in error.problems}
    raise AssertionError(f"{wrong} is not wrong")


async def until_refused(fleet: Fleet, wanted: set[str]) -> dict[str, Any]:
    """Wait until the status names these places, written as far as ``wanted`` writes them."""
    deadline = time.monotonic() + REFUSED_WITHIN
    while True:
        status = await fleet.status()
        named = [one["where"] for one in status["refused"]] if status is not None else []
        if named and {next((one for one in wanted if where.startswith(one)), where) for where in named} == wanted:
            assert status is not None
            return status
        assert time.monotonic() < deadline, f"{wanted} expected, but {status} found"
        await asyncio.sleep(0.02)


async def test_nothing_of_a_wrong_document_goes_live() -> None:
    """A sample of all kinds, each after the other: the same document stays live, and a real Envoy serves it."""
    async with running_fleet() as (fleet, data, port), httpx.AsyncClient(trust_env=False) as client:
        live = await fleet.until_live("", seconds=10)
        found = [*wrong_documents(data), *unreadable_documents(data)]
        for wrong in found[:: len(found) // SAMPLES]:
            fleet.document.with_suffix(".new").write_bytes(wrong.text)
            fleet.document.with_suffix(".new").replace(fleet.document)
            status = await until_refused(fleet, problems(wrong, str(fleet.document)))
            assert status["digest"] == live, str(wrong)
            assert (await client.get(f"http://127.0.0.1:{port}{OPEN}")).status_code == 200, str(wrong)


async def test_what_only_envoy_refuses_does_not_go_live_either() -> None:
    """At every place for a regular expression, with the line of that place."""
    async with running_fleet() as (fleet, data, _):
        live = await fleet.until_live("", seconds=10)
        for expression in ONLY_ENVOY_KNOWS:
            for match in ({"path_regex": Inline(expression)}, {"path": "/x", "headers": {"a": {"regex": expression}}}):
                wrong = json.loads(json.dumps(data))
                wrong["routes"].append({"match": match, "upstream": data["routes"][0]["upstream"]})
                written = Written(wrong)
                below = ("path_regex",) if "path_regex" in match else ("headers", "a", "regex")
                at = ("routes", len(wrong["routes"]) - 1, "match", *below)
                fleet.write(written.text)
                line = f"{fleet.document}:{written.first[at]}:"
                status = await until_refused(fleet, {line})
                assert status["digest"] == live
