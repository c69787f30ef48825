"""The command against a real control plane: who may do what, what was done, everything out and in again."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.certificates import write_certificates
from tests.harness.command import TOKEN, ControlPlane, Done, command, control_plane
from tests.harness.processes import wait_for

pytestmark = [pytest.mark.timeout(90), pytest.mark.xdist_group("cli-access")]

DOCUMENT = """\
listeners: [{name: http, port: 8000}]
upstreams: [{name: echo, endpoints: ["http://127.0.0.1:8048"]}]
routes: [{name: all, match: {path_prefix: /}, upstream: echo}]
"""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with a store of its own."""
    with control_plane(tmp_path_factory.mktemp("plane")) as running:
        yield running


def test_a_token_lets_in_whom_it_was_made_for(plane: ControlPlane) -> None:
    """It is printed once, works within its role and its scopes, and lets nobody in once it is revoked."""
    made = plane.run("tokens", "create", "ci", "--role", "viewer", "--expires-in", "1h")
    assert made.code == 0, made.err
    secret = made.out.strip()
    assert made.out == f"{secret}\n"
    token_id = made.err.partition(":")[0]

    def as_ci(*words: str) -> Done:
        return plane.run(*words, GATEWAY_ADMIN_TOKEN=secret)

    shown = as_ci("whoami").out
    assert f"gateway: http://{plane.admin}\nchosen by: the environment\nname: token:ci\n" in shown
    assert "role: viewer" in shown
    document = plane.folder / "gateway.yaml"
    document.write_text(DOCUMENT)
    assert as_ci("plan", str(document)).code == 0
    refused = as_ci("apply", str(document))
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("gateway: ")
    listed = plane.run("tokens", "list")
    assert token_id in listed.out
    assert secret not in listed.out
    assert plane.run("tokens", "revoke", token_id).out == f"{token_id}: revoked\n"
    wait_for(lambda: True if as_ci("whoami").code == 1 else None, seconds=5, what="nobody is let in any more")
    assert plane.json("tokens", "list")["items"][0]["revoked_at"] is not None


def test_a_scope_is_the_beginning_of_a_path(plane: ControlPlane) -> None:
    """Other routes are out of reach."""
    words = ("tokens", "create", "team", "--role", "operator", "--scope", "/routes/team-", "--output", "json")
    secret = plane.run(*words).json["token"]
    part = "{match: {path_prefix: /t}, upstream: echo}"
    document = plane.folder / "gateway.yaml"
    document.write_text(DOCUMENT)
    assert plane.run("apply", str(document)).code == 0
    inside = plane.run("put", "routes", "team-a", "-f", "-", "--position", "0", stdin=part, GATEWAY_ADMIN_TOKEN=secret)
    assert inside.code == 0, inside.err
    assert plane.run("put", "routes", "other", "-f", "-", stdin=part, GATEWAY_ADMIN_TOKEN=secret).code == 1


def test_a_wrong_token_is_one_line_without_the_token(plane: ControlPlane) -> None:
    """Nor is it asked for again."""
    done = plane.run("status", GATEWAY_ADMIN_TOKEN="wrong-s3cret")
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert "s3cret" not in done.err + plane.log()


def test_the_audit_log_says_who_did_what_and_shows_a_forgery(tmp_path: Path) -> None:
    """An entry that was changed in the database is found by its number."""
    with control_plane(tmp_path) as plane:
        _look_for_a_forgery(plane)


def _look_for_a_forgery(plane: ControlPlane) -> None:
    document = plane.folder / "gateway.yaml"
    document.write_text(DOCUMENT)
    plane.run("apply", str(document), "--message", "why")
    plane.run("tokens", "create", "ci", "--role", "viewer")
    entries = plane.json("audit", "log")["items"]
    assert {"document.put", "tokens.create"} <= {one["action"] for one in entries}
    text = plane.run("audit", "log", "--limit", "1").out
    assert "tokens.create" in text
    assert "older ones: gateway audit log --before" in text
    verdict = plane.run("audit", "verify")
    assert verdict.code == 0
    assert verdict.out.endswith("entries: the chain is whole\n")
    with sqlite3.connect(plane.folder / "history.db") as database:
        first = min(one["number"] for one in entries)
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{trigger}"')
        database.execute("UPDATE audit SET actor = 'mallory' WHERE number = ?", (first,))
    database.close()
    forged = plane.run("audit", "verify")
    assert forged.code == 1
    assert f"the chain is broken at entry {first}" in forged.out


def test_everything_goes_out_and_in_again(plane: ControlPlane, tmp_path: Path) -> None:
    """Into a store that is empty; the file is private, and there only when it is whole."""
    document = plane.folder / "gateway.yaml"
    document.write_text(DOCUMENT)
    plane.run("apply", str(document), "--message", "why")
    file = tmp_path / "everything.jsonl"
    assert plane.run("export", str(file)).code == 0
    assert file.stat().st_mode & 0o077 == 0
    assert plane.run("export").out == file.read_text()
    other = tmp_path / "other"
    other.mkdir()
    newest = plane.json("status")["revision"]
    with control_plane(other) as empty:
        assert empty.run("import", str(file)).code == 0
        assert "why" in [one["message"] for one in empty.json("log")["items"]]
        wait_for(
            lambda: empty.json("status")["revision"] == newest or None, seconds=5, what="what was imported is live"
        )
        assert empty.run("import", str(file)).code == 1  # it is not empty any more
    broken = tmp_path / "broken.jsonl"
    broken.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    assert plane.run("import", str(broken)).code == 1


def test_a_context_is_a_gateway_by_name(plane: ControlPlane, tmp_path: Path) -> None:
    """Kept with its token or with where that is; listed without it; used by name or as the current one."""
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    url = f"http://{plane.admin}"
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    kept = command("context", "add", "here", "--url", url, "--token-stdin", "--use", stdin=f"{TOKEN}\n", env=env)
    assert (kept.code, kept.out) == (0, "here: kept, and current\n")
    by_file = ("context", "add", "there", "--url", url, "--token-from", f"file:{tmp_path}/token")
    assert command(*by_file, env=env).code == 0
    listed = command("context", "list", env=env).out + command("context", "list", "-o", "json", env=env).out
    assert TOKEN not in listed
    assert "kept here" in listed
    assert "chosen by: context here" in command("whoami", env=env).out
    assert "chosen by: context there" in command("whoami", "--context", "there", env=env).out
    assert "chosen by: context there" in command("whoami", env=env | {"GATEWAY_CONTEXT": "there"}).out
    assert command("context", "use", "there", env=env).code == 0
    assert "chosen by: context there" in command("whoami", env=env).out
    assert command("context", "remove", "there", env=env).code == 0
    assert command("status", "--context", "there", env=env).code == 1


def test_a_client_certificate_is_as_good_as_a_token(tmp_path: Path) -> None:
    """Over TLS of a private authority, by the names in it; who trusts another authority sends no token."""
    certificates = tmp_path / "tls"
    write_certificates(certificates, hosts=["127.0.0.1", "ops.example"], days=1)
    roles = {"GATEWAY_ADMIN_CERTIFICATE_ROLES": '{"ops.example": "operator"}'}
    with control_plane(tmp_path, GATEWAY_ADMIN_TLS_DIR=str(certificates), **roles) as plane:
        assert "role: admin" in plane.run("whoami").out
        shown = {"GATEWAY_ADMIN_CLIENT_CERTIFICATE": f"{certificates}/tls.crt"}
        shown |= {"GATEWAY_ADMIN_CLIENT_KEY": f"{certificates}/tls.key", "GATEWAY_ADMIN_TOKEN": ""}
        done = plane.run("whoami", **shown)
        assert done.code == 0, done.err
        assert "role: operator" in done.out
        assert "method: certificate" in done.out
        files = ["--client-certificate", f"{certificates}/tls.crt", "--client-key", f"{certificates}/tls.key"]
        added = plane.run("context", "add", "tls", "--url", plane.url, "--ca", f"{certificates}/ca.crt", *files)
        assert added.code == 0, added.err
        assert "role: operator" in plane.run("whoami", "--context", "tls").out
        distrusted = plane.run("whoami", GATEWAY_ADMIN_CA="")
        assert distrusted.code == 1
        assert "certificate verify failed" in distrusted.err


def test_events_are_followed_as_they_happen(plane: ControlPlane) -> None:
    """One JSON value a line, each with an id after which one can go on."""
    ended: list[Done] = []
    document = plane.folder / "gateway.yaml"
    before = plane.json("status")["revision"]

    def listen() -> None:
        ended.append(command("events", "--count", "1", "--output", "json", env=plane.environment))

    # Commands share standard output, so that the changes come from somewhere else.
    listening = threading.Thread(target=listen, daemon=True)
    listening.start()
    for attempt in range(100):
        document.write_text(DOCUMENT.replace("8048", str(9000 + attempt)))
        _put(plane, document.read_bytes())
        listening.join(0.1)
        if not listening.is_alive():
            break
    (done,) = ended
    (event,) = [json.loads(line) for line in done.out.splitlines()]
    assert event["id"]
    assert event["kind"]
    assert event["at"] > "2000"
    after = command("events", "--after", event["id"], "--count", "1", env=plane.environment)
    assert after.out.count("\n") == 1
    assert plane.json("status")["revision"] != before


def _put(plane: ControlPlane, text: bytes) -> None:
    import httpx

    answer = httpx.put(
        f"http://{plane.admin}/api/v1/document",
        content=text,
        headers={"authorization": f"Bearer {TOKEN}", "content-type": "application/yaml"},
        timeout=20,
    )
    answer.raise_for_status()
