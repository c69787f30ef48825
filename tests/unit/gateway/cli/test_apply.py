"""``gateway apply``, ``plan`` and ``put``: what is said of every way in which they can end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.command import Done, command
from tests.harness.http_answers import Answered, Asked, http_answers
from tests.harness.ports import free_port

Answer = Callable[[Asked], Answered]


def outcome(name: str, *groups: dict[str, Any], changed: bool = True) -> Answered:
    """The answer to a write."""
    answer = {"revision": 7, "digest": "d", "changed": changed, "outcome": name, "groups": groups}
    return Answered(body=json.dumps(answer).encode())


def group(
    name: str, result: str, *, waiting: tuple[str, ...] = (), refused: dict[str, str] | None = None
) -> dict[str, Any]:
    """What became of one group."""
    return {"group": name, "outcome": result, "waiting": waiting, "refused": refused or {}}


def problem(status: int, detail: str, *errors: dict[str, Any], code: str = "invalid-document") -> Answered:
    """A refusal."""
    body = {"type": f"urn:gateway:problem:{code}", "detail": detail, "errors": errors}
    return Answered(status=status, body=json.dumps(body).encode())


def run(answer: Answer | Answered, *words: str, stdin: str | None = None) -> tuple[Done, list[Asked]]:
    """Run a command against a server that answers so."""
    with http_answers(answer if callable(answer) else lambda _: answer) as (url, asked):
        env = {"GATEWAY_ADMIN_URL": url, "GATEWAY_ADMIN_TOKEN": "t", "XDG_CONFIG_HOME": "/nonexistent"}
        return command(*words, stdin=stdin, env=env), asked


@pytest.fixture
def document(tmp_path: Path) -> str:
    """A document's name; what is in it only the server judges."""
    path = tmp_path / "gateway.yaml"
    path.write_text("routes:\n  - upstream: eco\n")
    return str(path)


def test_a_document_that_every_node_has_is_a_success(document: str) -> None:
    """What was sent is the file, byte by byte, and with it what was asked for."""
    words = ("apply", document, "--timeout", "1m", "--message", "why", "--if-match", "6")
    done, asked = run(outcome("applied", group("edge", "applied")), *words)
    assert (done.code, done.err) == (0, "")
    assert done.out == "revision 7: applied (every connected node has it)\n  edge: applied\n"
    assert asked[0].path == "/api/v1/document?message=why&wait=60.0"
    assert asked[0].body == Path(document).read_bytes()
    assert (asked[0].headers["if-match"], asked[0].headers["content-type"]) == ('"6"', "application/yaml")


def test_a_refusal_by_nodes_says_by_whom_and_in_which_words(document: str) -> None:
    """Status 1; nothing of what a node says reaches the terminal as a control sequence."""
    groups = (group("edge", "refused", refused={"envoy-1": "no \x1b[31m\u202ecluster"}), group("sidecar", "applied"))
    done, _ = run(outcome("refused", *groups), "apply", document)
    assert done.code == 1
    assert done.out.splitlines() == [
        "revision 7: refused (refused by nodes, and rolled back)",
        "  edge: refused",
        "    envoy-1 refuses it: no  [31m cluster",
        "  sidecar: applied",
    ]


def test_nodes_that_do_not_answer_are_named_but_not_all_of_a_thousand(document: str) -> None:
    """Status 1."""
    names = tuple(f"envoy-{number}" for number in range(1000))
    done, _ = run(outcome("timed_out", group("edge", "timed_out", waiting=names)), "apply", document)
    assert done.code == 1
    assert "    envoy-0 has not answered" in done.out
    assert done.out.splitlines()[-1] == "    and 980 more have not answered"


@pytest.mark.parametrize(("timeout", "code"), [("0s", 0), ("1s", 1)])
def test_who_does_not_wait_is_content_with_a_pending_change(document: str, timeout: str, code: int) -> None:
    """Who waits is not."""
    done, _ = run(outcome("pending"), "apply", document, "--timeout", timeout)
    assert done.code == code


def test_a_refusal_is_one_even_for_who_does_not_wait(document: str) -> None:
    """It was known in time."""
    assert run(outcome("refused"), "apply", document, "--timeout", "0s")[0].code == 1


@pytest.mark.parametrize("timeout", ["-1s", "11m", "soon"])
def test_a_timeout_that_the_api_does_not_take_is_not_sent(document: str, timeout: str) -> None:
    """Status 1, and no request."""
    done, asked = run(outcome("applied"), "apply", document, "--timeout", timeout)
    assert (done.code, asked) == (1, [])


def test_programs_get_the_answer_as_it_is(document: str) -> None:
    """And the same exit code."""
    answer = outcome("timed_out", group("edge", "timed_out", waiting=("envoy-1",)))
    done, _ = run(answer, "apply", document, "--output", "json")
    assert done.code == 1
    assert done.json == json.loads(answer.body)


def test_mistakes_are_shown_where_they_stand(document: str) -> None:
    """The line and a caret, as validate shows them; nothing has changed."""
    mistake = {"where": "request:2:5", "pointer": "/routes/0/upstream", "message": "no such upstream", "hint": "echo?"}
    done, _ = run(problem(422, "1 mistake in the document.", mistake), "apply", document)
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines() == [
        f"{document}:2:5: no such upstream (echo?)",
        "      - upstream: eco",
        "        ^",
        "gateway: 1 mistake in the document: nothing has changed",
    ]


def test_mistakes_in_a_folder_are_shown_in_their_file(tmp_path: Path) -> None:
    """What was sent says which file each part is from."""
    (tmp_path / "a.yaml").write_text("upstreams: []\n")
    (tmp_path / "b.yaml").write_text("routes: [wrong]\n")
    mistake = {"where": "request/b.yaml:1:10", "message": "expected a mapping"}
    done, asked = run(problem(422, "1 mistake.", mistake), "plan", str(tmp_path))
    assert done.err.splitlines()[:3] == [
        f"{tmp_path}/b.yaml:1:10: expected a mapping",
        "    routes: [wrong]",
        "             ^",
    ]
    assert b"file: a.yaml\nupstreams: []\n" in asked[0].body


def test_a_document_can_come_from_standard_input() -> None:
    """Its mistakes have lines too."""
    mistake = {"where": "request:1:1", "message": "m"}
    done, asked = run(problem(422, "1 mistake.", mistake), "apply", "-", stdin="a: 1\n")
    assert asked[0].body == b"a: 1\n"
    assert done.err.startswith("<stdin>:1:1: m\n    a: 1\n    ^\n")


def test_a_stale_if_match_is_one_line(document: str) -> None:
    """It says what can be done."""
    detail = "It is not what If-Match names: somebody has changed it since it was read."
    done, _ = run(problem(412, detail, code="changed"), "apply", document, "--if-match", "3")
    assert (done.code, done.err) == (1, f"gateway: {detail} (gateway log shows by whom)\n")


def test_a_gateway_that_wants_to_know_for_which_revision_is_told_how(document: str) -> None:
    """The option's name is not the header's."""
    refusal = problem(428, "Say in If-Match which state this is meant for.", code="precondition-required")
    assert "--if-match N names the revision" in run(refusal, "apply", document)[0].err


def test_a_file_that_is_not_there_is_not_asked_about(tmp_path: Path) -> None:
    """One line."""
    done, asked = run(outcome("applied"), "apply", str(tmp_path / "none.yaml"))
    assert (done.code, asked) == (1, [])
    assert done.err == f"gateway: {tmp_path}/none.yaml: the file cannot be read: No such file or directory\n"


def test_while_the_nodes_are_waited_for_it_says_how_far_they_are(document: str) -> None:
    """A line for each change; where nobody may see the nodes, that it waits."""
    looks = iter((["envoy-1", "envoy-2"], ["envoy-1", "envoy-2"], []))
    seen = threading.Event()

    def answer(asked: Asked) -> Answered:
        if asked.method == "PUT":
            assert seen.wait(10)
            return outcome("applied")
        waiting = next(looks, None)
        if waiting is None:
            seen.set()
            return problem(403, "No.")
        canary = None if waiting else {"phase": "watching"}
        groups = [{"name": "edge\x1b", "waiting": waiting, "canary": canary}]
        return Answered(body=json.dumps({"groups": groups}).encode())

    done, _ = run(answer, "apply", document)
    assert done.code == 0
    assert done.err.splitlines()[:3] == [
        "waiting for the nodes: edge  2 to go",
        "waiting for the nodes: edge  done (canary watching)",
        "waiting for the nodes",
    ]


def test_a_connection_that_is_lost_leaves_it_open_what_was_done(document: str) -> None:
    """A refused connection does not: nothing has arrived there."""
    done, _ = run(Answered(body=b"{", cut_off=True), "apply", document)
    assert done.code == 1
    assert "whether it was done is not known" in done.err
    nobody = {"GATEWAY_ADMIN_URL": f"http://127.0.0.1:{free_port()}"}
    assert "not known" not in command("apply", document, env=nobody).err


def test_a_dry_run_shows_what_would_change(document: str) -> None:
    """As plan does, by the same operation that would change it."""
    plan = {
        "parent": 6,
        "changes": [
            {"section": "routes", "name": "all", "kind": "added", "fields": []},
            {
                "section": "upstreams",
                "name": "u",
                "kind": "changed",
                "fields": [{"path": "timeout", "before": 1, "after": "2\x1b"}],
            },
        ],
        "groups": [
            {
                "group": "edge",
                "resources": [
                    {"type_url": "type.googleapis.com/a.Cluster", "added": ["c"], "removed": ["d"], "changed": []}
                ],
            }
        ],
        "warnings": [{"code": "w", "message": "nobody gets it"}],
    }
    lines = [
        "warning: nobody gets it",
        "+ routes all",
        "~ upstreams u",
        '    timeout: 1 -> "2\\u001b"',
        "edge: xDS a.Cluster",
        "    + c",
        "    - d",
    ]
    done, asked = run(Answered(body=json.dumps(plan).encode()), "apply", document, "--dry-run")
    assert (done.code, done.out.splitlines()) == (0, lines)
    assert asked[0].path == "/api/v1/document?dry_run=true"
    done, asked = run(Answered(body=json.dumps(plan).encode()), "plan", document)
    assert (done.code, done.out.splitlines()) == (0, lines)
    assert (asked[0].method, asked[0].path) == ("POST", "/api/v1/plan")
    assert run(Answered(body=json.dumps(plan).encode()), "plan", document, "--exit-code")[0].code == 3


def test_a_plan_without_changes_says_so(document: str) -> None:
    """And --exit-code ends with 0."""
    plan = {"parent": 6, "changes": [], "groups": [], "warnings": []}
    done, _ = run(Answered(body=json.dumps(plan).encode()), "plan", document, "--exit-code")
    assert (done.code, done.out) == (0, "no difference in meaning\n")


def test_a_part_is_sent_as_json_and_its_mistakes_are_shown_in_its_file(tmp_path: Path) -> None:
    """A JSON Pointer into the request is a line of the file; null in a patch is a value."""
    part = tmp_path / "route.yaml"
    part.write_text("# mine\nmatch: {path_prefix: /a}\nupstream: eco\n")
    mistake = {"pointer": "/upstream", "where": "request:19:4", "message": "no such upstream"}
    pointed = {"pointer": "/match/path_prefix", "message": "too short"}
    elsewhere = {"pointer": None, "where": "request:30:1", "message": "now it dangles"}
    done, asked = run(problem(422, "3 mistakes.", mistake, pointed, elsewhere), "put", "routes", "a/b", "-f", str(part))
    assert done.err.splitlines()[:7] == [
        f"{part}:3:11: no such upstream",
        "    upstream: eco",
        "              ^",
        f"{part}:2:22: too short",
        "    match: {path_prefix: /a}",
        "                         ^",
        "document:30:1: now it dangles",
    ]
    assert json.loads(asked[0].body) == {"match": {"path_prefix": "/a"}, "upstream": "eco"}
    assert asked[0].headers["content-type"] == "application/json"
    done, asked = run(outcome("applied"), "patch", "rate-limits", "x", "-f", "-", stdin="a: {b: ~, c: [1]}\nd: null\n")
    assert done.code == 0, done.err
    assert json.loads(asked[0].body) == {"a": {"b": None, "c": [1]}, "d": None}
    assert asked[0].path == "/api/v1/rate_limits/x?wait=30.0"
    assert asked[0].headers["content-type"] == "application/merge-patch+json"


@pytest.mark.parametrize("text", ["a: [", "a: &x 1\na: 2\n", "", "a: null", "a: [~]"])
def test_a_part_that_is_no_yaml_is_not_sent(tmp_path: Path, text: str) -> None:
    """It is named with its line."""
    part = tmp_path / "route.yaml"
    part.write_text(text)
    done, asked = run(outcome("applied"), "put", "routes", "a", "-f", str(part))
    assert (done.code, asked) == (1, [])
    assert str(part) in done.err
