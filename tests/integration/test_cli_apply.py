"""The command against a real control plane: a document and its parts go live, nodes accept, refuse or are silent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse

from tests.harness.command import ControlPlane, Done, control_plane
from tests.harness.processes import wait_for
from tests.harness.xds import RawStream, raw_stream

pytestmark = [pytest.mark.timeout(90), pytest.mark.xdist_group("cli-apply")]

CLUSTERS = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
DOCUMENT = """\
# Whoever changes this talks to Ann first.
listeners:
  - {name: http, port: 8000}
upstreams:
  - name: echo  # in the cellar
    endpoints: ["http://127.0.0.1:8048"]
routes:
  - name: all
    match: {path_prefix: /}
    upstream: echo
    timeout: 1s  # see the report of May
"""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane; each test begins with a document of its own."""
    with control_plane(tmp_path_factory.mktemp("plane")) as running:
        yield running


def write(plane: ControlPlane, text: str) -> str:
    """A document's file."""
    path = plane.folder / "gateway.yaml"
    path.write_text(text)
    return str(path)


async def ask(plane: ControlPlane, *words: str) -> Done:
    """A command beside what the test does with nodes."""
    return await asyncio.to_thread(plane.run, *words)


@asynccontextmanager
async def node(plane: ControlPlane, *, error: str | None = None) -> AsyncIterator[RawStream]:
    """A node that has all clusters now, and answers those that come with ``error``, or else never."""
    async with raw_stream(plane.xds, delta=True, id="envoy-1") as stream:
        await stream.send(CLUSTERS)
        await stream.accept()

        async def answer() -> None:
            if error is not None:
                await stream.ack(await stream.receive(), error=error)

        answering = asyncio.create_task(answer())
        try:
            yield stream
        finally:
            answering.cancel()


@asynccontextmanager
async def obedient(plane: ControlPlane, name: str) -> AsyncIterator[None]:
    """A node that takes whatever comes."""
    async with raw_stream(plane.xds, delta=True, id=name) as stream:
        await stream.send(CLUSTERS)
        await stream.accept()

        async def obey() -> None:
            while True:
                response = DeltaDiscoveryResponse.FromString(await stream.call.read())
                await stream.ack(response)

        obeying = asyncio.create_task(obey())
        try:
            yield
        finally:
            obeying.cancel()


def test_a_document_goes_live_and_back(plane: ControlPlane) -> None:
    """Plan, apply, history, difference, rollback; the text is kept as it was written, and goes out again like that."""
    file = write(plane, DOCUMENT)
    planned = plane.run("plan", file, "--exit-code")
    assert planned.code == 3, planned.err
    assert "+ routes all" in planned.out
    done = plane.run("apply", file, "--message", "first")
    assert done.code == 0, done.err
    first = plane.json("status")["revision"]
    assert done.out.startswith(f"revision {first}: applied (every connected node has it)\n")
    assert plane.run("plan", file, "--exit-code").out == "no difference in meaning\n"
    assert plane.run("apply", file).out.startswith(f"revision {first}, as before: applied")

    write(plane, DOCUMENT.replace("1s", "2s"))
    assert "    timeout: 1.0 -> 2.0" in plane.run("apply", file, "--dry-run").out
    assert plane.json("status")["revision"] == first
    assert plane.run("apply", file, "-m", "second").code == 0
    second = first + 1
    assert "~ routes all\n    timeout: 1.0 -> 2.0\n" in plane.run("diff", str(first), str(second)).out
    assert plane.run("show").out == DOCUMENT.replace("1s", "2s")
    assert plane.run("show", str(first)).out == DOCUMENT
    assert plane.json("show")["routes"][0]["timeout"] == "2s"

    assert plane.run("rollback", str(first), "--if-match", str(first)).code == 1
    assert plane.run("rollback", str(first), "--dry-run").out.startswith("~ routes all\n    timeout: 2.0 -> 1.0\n")
    assert plane.run("rollback", str(first)).code == 0
    assert plane.run("show").out == DOCUMENT
    log = plane.json("log", "--outcome", "applied")["items"]
    assert [one["message"] for one in log][:3] == [f"Roll back to revision {first}", "second", "first"]
    assert plane.json("log", "--author", "nobody")["items"] == []
    text = plane.run("log", "--limit", "1").out
    assert "Roll back" in text
    assert f"older ones: gateway log --before {log[0]['number']}" in text


def test_a_mistake_changes_nothing(plane: ControlPlane) -> None:
    """By the mistake's line, for every command that takes a document."""
    assert plane.run("apply", write(plane, DOCUMENT)).code == 0
    before = plane.json("status")["digest"]
    file = write(plane, DOCUMENT.replace("upstream: echo", "upstream: eco"))
    for words in (("apply", file), ("apply", file, "--dry-run"), ("plan", file)):
        done = plane.run(*words)
        assert (done.code, done.out) == (1, "")
        assert done.err.splitlines()[:3] == [
            f"{file}:10:15: nothing in upstreams is called 'eco' (did you mean 'echo'?)",
            "        upstream: eco",
            "                  ^",
        ]
        assert done.err.endswith("nothing has changed\n")
    done = plane.run("validate", "--remote", file)
    assert done.code == 1
    assert done.out.splitlines()[0].startswith(f"{file}:10:15: ")
    assert plane.json("status")["digest"] == before
    assert plane.run("validate", "--remote", write(plane, DOCUMENT)).out == "ok: 1 listener, 1 upstream, 1 route\n"


def test_a_folder_is_one_document(plane: ControlPlane) -> None:
    """Its mistakes are named in their own files."""
    folder = plane.folder / "parts"
    folder.mkdir()
    above, below = DOCUMENT.split("routes:")
    (folder / "a.yaml").write_text(above)
    (folder / "b.yaml").write_text(f"routes:{below}")
    assert plane.run("apply", str(folder)).code == 0
    (folder / "b.yaml").write_text(f"routes:{below}".replace("timeout", "timeuot"))
    assert plane.run("apply", str(folder)).err.startswith(f"{folder}/b.yaml:5:5: ")


def test_a_part_changes_and_the_rest_stays_as_it_is_written(plane: ControlPlane) -> None:
    """Comments too; what get prints is what put takes."""
    assert plane.run("apply", write(plane, DOCUMENT)).code == 0
    assert plane.json("get", "routes")["items"][0]["name"] == "all"
    part = plane.folder / "route.yaml"
    part.write_text(plane.run("get", "routes", "all").out.replace("1s", "3s"))
    assert plane.run("put", "routes", "all", "-f", str(part), "--dry-run").code == 0
    assert plane.run("put", "routes", "all", "-f", str(part)).code == 0
    assert plane.run("show").out == DOCUMENT.replace("1s", "3s")
    assert plane.run("patch", "upstreams", "echo", "-f", "-", stdin="connect_timeout: 2s\n").code == 0
    assert "connect_timeout" in plane.run("get", "upstreams", "echo").out
    assert plane.run("patch", "upstreams", "echo", "-f", "-", stdin="connect_timeout: ~\n").code == 0
    assert "connect_timeout" not in plane.run("get", "upstreams", "echo").out

    new = "{match: {path_prefix: /a}, upstream: echo}"
    assert plane.run("put", "routes", "team/a", "-f", "-", "--before", "all", stdin=new).code == 0
    assert [one["name"] for one in plane.json("get", "routes")["items"]] == ["team/a", "all"]
    assert [one["name"] for one in plane.json("get", "routes", "--search", "TEAM")["items"]] == ["team/a"]
    assert "more: gateway get routes --after team/a" in plane.run("get", "routes", "--limit", "1").out
    assert plane.run("delete", "routes", "team/a").code == 0
    assert plane.run("show").out == DOCUMENT.replace("1s", "3s")
    gone = plane.run("get", "routes", "team/a")
    assert (gone.code, gone.out) == (1, "")


def test_a_part_with_a_mistake_is_shown_at_its_own_line(plane: ControlPlane) -> None:
    """And a part that others need is not deleted: the document would have a mistake."""
    assert plane.run("apply", write(plane, DOCUMENT)).code == 0
    part = plane.folder / "route.yaml"
    part.write_text("match: {path_prefix: /}\nupstream: eco\n")
    done = plane.run("put", "routes", "all", "-f", str(part))
    assert done.code == 1
    assert done.err.splitlines()[:2] == [
        f"{part}:2:11: nothing in upstreams is called 'eco' (did you mean 'echo'?)",
        "    upstream: eco",
    ]
    done = plane.run("delete", "upstreams", "echo")
    assert done.code == 1
    assert "echo" in done.err
    assert plane.run("show").out == DOCUMENT


def test_two_who_edit_at_once_do_not_overwrite_each_other(plane: ControlPlane) -> None:
    """The second is told."""
    file = write(plane, DOCUMENT)
    plane.run("apply", file)
    number = str(plane.json("status")["revision"])
    write(plane, DOCUMENT.replace("1s", "2s"))
    assert plane.run("apply", file, "--if-match", number).code == 0
    write(plane, DOCUMENT.replace("1s", "3s"))
    done = plane.run("apply", file, "--if-match", number)
    assert done.code == 1
    assert "somebody has changed it since" in done.err
    assert plane.run("show").out == DOCUMENT.replace("1s", "2s")


async def test_a_node_that_refuses_is_named_with_its_words(plane: ControlPlane) -> None:
    """Its group goes back, the command ends with 1, and the node's words are kept."""
    file = write(plane, DOCUMENT)
    assert (await ask(plane, "apply", file)).code == 0
    async with node(plane, error="no such \x1b[31mcolour"):
        write(plane, DOCUMENT.replace("8048", "8049").replace("echo", "other"))
        done = await ask(plane, "apply", file, "--timeout", "20s")
        assert done.code == 1
        assert "refused" in done.out.splitlines()[0]
        assert "    envoy-1 refuses it: no such  [31mcolour" in done.out
        rollout = await ask(plane, "rollout", "--output", "json")
        (edge,) = (group for group in rollout.json["groups"] if group["name"] == "edge")
        assert edge["live"] != edge["desired"]
        shown = (await ask(plane, "rollout")).out
        assert f"edge: {edge['live']}, wanted {edge['desired']}\n" in shown
        assert "by envoy-1: no such  [31mcolour\n" in shown
        shown = (await ask(plane, "nodes", "show", "envoy-1")).out
        assert "colour" in shown
        assert "\x1b" not in shown
    (newest, *_) = (await ask(plane, "log", "--outcome", "refused", "--output", "json")).json["items"]
    assert "colour" in json.dumps(newest["groups"])


async def test_a_node_that_is_silent_is_named_when_time_is_over(plane: ControlPlane) -> None:
    """Within the time-out and not much later; without waiting, nothing is awaited."""
    file = write(plane, DOCUMENT)
    assert (await ask(plane, "apply", file)).code == 0
    async with node(plane):
        write(plane, DOCUMENT.replace("echo", "other"))
        done = await ask(plane, "apply", file, "--timeout", "1s")
        assert done.code == 1
        assert "    envoy-1 has not answered" in done.out
        assert "waiting for the nodes: edge 1 to go" in done.err
        listed = (await ask(plane, "nodes", "--group", "edge")).out
        assert "Cluster: not yet" in listed
        write(plane, DOCUMENT)
        assert (await ask(plane, "apply", file, "--timeout", "0s")).code == 0
    await asyncio.to_thread(
        wait_for, lambda: plane.run("nodes", "--connected").out == "no nodes\n" or None, seconds=10, what="it is gone"
    )
    gone = (await ask(plane, "nodes", "--gone", "--output", "json")).json
    assert "envoy-1" in [one["id"] for one in gone]
    assert "gone since" in (await ask(plane, "nodes", "--group", "edge")).out


async def test_a_canary_is_ended_by_hand(plane: ControlPlane) -> None:
    """Promoted or aborted; rollout says how far it is, and there has to be one."""
    file = write(plane, DOCUMENT)
    assert (await ask(plane, "apply", file)).code == 0
    none = await ask(plane, "rollout", "promote")
    assert (none.code, none.err) == (1, "gateway: No canary is running.\n")
    canary = "rollout: {canary: {nodes: {ids: [canary-*]}, hold: 10m}}\n"
    async with obedient(plane, "canary-1"), obedient(plane, "other-1"):
        for how, port in (("promote", "8050"), ("abort", "8051")):
            write(plane, canary + DOCUMENT.replace("8048", port).replace("echo", f"echo-{port}"))
            done = await ask(plane, "apply", file, "--timeout", "0s")
            assert done.code == 0, done.out + done.err
            before = await _edge(plane)
            assert before["live"] != before["desired"]
            shown = (await ask(plane, "rollout")).out
            assert "    canary " in shown
            assert "1 nodes, 0 requests, 0 errors" in shown
            ended = await ask(plane, "rollout", how)
            assert ended.code == 0, ended.err
            after = await _edge(plane)
            assert (after["live"] == before["desired"]) is (how == "promote")
            assert (await ask(plane, "rollout", how)).code == 1


async def _edge(plane: ControlPlane) -> dict[str, Any]:
    groups = (await ask(plane, "rollout", "--output", "json")).json["groups"]
    (edge,) = (group for group in groups if group["name"] == "edge")
    return dict(edge)
