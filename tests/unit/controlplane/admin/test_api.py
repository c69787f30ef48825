"""The admin API as its users see it: what is live, what would be, how it is changed, and what is refused how."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from controlplane.store import StoreError
from controlplane.xds.ledger import Client
from controlplane.xds.messages import Node
from controlplane.xds.stream import Limits, Shared, StreamState
from servicekit.contracts.key_report import KeyReport, ReportedKey, ReportedSource
from tests.harness.admin import DOCUMENT, Admin, running_admin
from tests.harness.idp import identity_provider

V1 = "/api/v1"
YAML = {"content-type": "application/yaml"}
PATCH = {"content-type": "application/merge-patch+json"}
ROUTE = {"match": {"path": "/new"}, "upstream": "resumes"}
REST = {"match": {"path_prefix": "/"}, "upstream": "resumes", "timeout": "9s"}
FIRST = {"position": 0}
"""The last route takes everything: what comes after it would be refused."""


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    """With a document that is live."""
    async with running_admin(tmp_path) as made:
        yield made


async def text(admin: Admin) -> str:
    """The live document."""
    return (await admin.http.get(f"{V1}/document")).text


def problem(response: httpx.Response, status: int) -> Any:
    """A problem document of that status."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    return response.json()


async def test_the_status_shows_what_is_live_and_what_was_refused(admin: Admin) -> None:
    """Names of the live document, its revision, and whether the nodes have it."""
    status = (await admin.http.get(f"{V1}/status")).json()
    assert (status["revision"], status["upstreams"], status["routes"]) == (1, ["resumes"], ["/api", "rest"])
    assert (status["refused"], status["origin"]) == ([], "test")


async def test_a_document_can_be_checked_and_planned_without_applying_it(admin: Admin) -> None:
    """Counts or every mistake; what would change; and nothing does."""
    good = await admin.http.post(f"{V1}/validate", content=DOCUMENT)
    assert good.json() == {"listeners": 1, "upstreams": 1, "routes": 2, "warnings": []}
    wrong = DOCUMENT.replace("upstream: resumes", "x: 1")
    bad = problem(await admin.http.post(f"{V1}/validate", content=wrong, headers=YAML), 422)
    assert [one["pointer"] for one in bad["errors"]] == ["/routes/0/x", "/routes/1/x"]
    assert bad["errors"][0]["where"] == "request:14:5"
    plan = (await admin.http.post(f"{V1}/plan", content=DOCUMENT.replace("5s", "6s"), headers=YAML)).json()
    (change,) = plan["changes"]
    assert (plan["parent"], change["name"], change["fields"]) == (
        1,
        "/api",
        [{"path": "timeout", "before": 5, "after": 6}],
    )
    assert [group["group"] for group in plan["groups"]] == ["edge"]
    more = DOCUMENT.replace("rate_limits:", "rate_limits:\n  flood: {by: ip, requests: 1, per: 1s}", 1)
    for operation in ("plan", "validate"):
        (warning,) = (await admin.http.post(f"{V1}/{operation}", content=more, headers=YAML)).json()["warnings"]
        assert (warning["code"], warning["message"]) == ("unused", "nothing uses 'flood' of rate_limits")
        assert warning["where"] == "request:11:3"
    assert await text(admin) == DOCUMENT


async def test_mistakes_that_are_not_listed_are_counted(admin: Admin) -> None:
    """A hostile document has more than anybody would read."""
    wrong = "routes:\n" + "- {}\n" * 500
    refused = problem(await admin.http.post(f"{V1}/validate", content=wrong), 422)
    assert len(refused["errors"]) == 200
    assert refused["unlisted"] >= 300


async def test_the_document_is_read_as_it_was_written_or_as_json(admin: Admin) -> None:
    """With a tag; who has it already gets 304."""
    found = await admin.http.get(f"{V1}/document")
    assert (found.text, found.headers["etag"], found.headers["content-type"]) == (
        DOCUMENT,
        '"1"',
        "application/yaml",
    )
    as_json = await admin.http.get(f"{V1}/document", headers={"accept": "application/json"})
    assert as_json.json()["routes"][0]["timeout"] == "5s"
    assert (await admin.http.get(f"{V1}/document", headers={"if-none-match": '"1"'})).status_code == 304
    problem(await admin.http.get(f"{V1}/document", headers={"accept": "image/png"}), 406)


async def test_a_document_is_replaced_when_it_is_still_the_one_that_was_read(admin: Admin) -> None:
    """The first of two writers wins, the other hears of it, and nothing is lost."""
    first, second = DOCUMENT.replace("5s", "6s"), DOCUMENT.replace("5s", "7s")
    headers = {**YAML, "if-match": '"1"'}
    done = await admin.http.put(f"{V1}/document", content=first, headers=headers, params={"message": "why"})
    assert (done.json()["revision"], done.json()["changed"], done.headers["etag"]) == (2, True, '"2"')
    problem(await admin.http.put(f"{V1}/document", content=second, headers=headers), 412)
    assert await text(admin) == first
    revision = (await admin.http.get(f"{V1}/revisions/2")).json()
    assert (revision["author"], revision["message"], revision["text"]) == ("admin-token", "why", first)


async def test_a_document_may_be_json(admin: Admin) -> None:
    """Also with escapes that YAML reads as something else."""
    value = (await admin.http.get(f"{V1}/document", headers={"accept": "application/json"})).json()
    value["upstreams"][0]["health_check"]["path"] = "/a/b"
    content = json.dumps(value).replace("/a/b", "\\/a\\/b")
    done = await admin.http.put(f"{V1}/document", content=content, headers={"content-type": "application/json"})
    assert done.status_code == 200, done.text
    found = (await admin.http.get(f"{V1}/upstreams/resumes")).json()
    assert found["health_check"]["path"] == "/a/b"


async def test_a_dry_run_changes_nothing(admin: Admin) -> None:
    """And answers with the plan, by whichever way."""
    asked = [
        admin.http.put(f"{V1}/document", content=DOCUMENT.replace("5s", "6s"), headers=YAML, params={"dry_run": True}),
        admin.http.put(f"{V1}/routes/new", json=ROUTE, params={"dry_run": True, **FIRST}),
        admin.http.patch(f"{V1}/routes/rest", content=b'{"timeout": "1s"}', headers=PATCH, params={"dry_run": True}),
        admin.http.delete(f"{V1}/routes/rest", params={"dry_run": True}),
        admin.http.post(f"{V1}/revisions/1/rollback", params={"dry_run": True}),
    ]
    kinds = [(await one).json()["changes"] for one in asked]
    assert [[change["kind"] for change in changes] for changes in kinds] == [
        ["changed"],
        ["added"],
        ["changed"],
        ["removed"],
        [],
    ]
    assert (await admin.http.get(f"{V1}/revisions")).json()["items"][0]["number"] == 1
    assert (await admin.http.get(f"{V1}/audit")).json()["items"] == []


async def test_one_resource_changes_and_comments_stay(admin: Admin) -> None:
    """Put before another, patched, deleted: the rest of the text is as it was."""
    await admin.http.put(f"{V1}/routes/new", json=ROUTE, params={"before": "rest"})
    await admin.http.patch(f"{V1}/routes/%2Fapi", content=b'{"timeout": "7s", "rate_limits": null}', headers=PATCH)
    done = await admin.http.delete(f"{V1}/rate_limits/per-ip")
    assert done.json()["revision"] == 4
    expected = DOCUMENT.replace("timeout: 5s", "timeout: 7s").replace("    rate_limits: [per-ip]\n", "")
    expected = expected.replace("rate_limits:\n  per-ip: {by: ip, requests: 300, per: 1m}\n", "")
    new = "  - name: new\n    match: {path: /new}\n    upstream: resumes\n"
    assert await text(admin) == expected.replace("  # Everything else.", f"{new}  # Everything else.")
    listed = (await admin.http.get(f"{V1}/routes")).json()["items"]
    assert [one["name"] for one in listed] == ["/api", "new", "rest"]


async def test_mistakes_point_into_what_was_sent(admin: Admin) -> None:
    """At the value, in a put and in a patch; nowhere when what was sent is not at fault."""
    wrong = problem(await admin.http.put(f"{V1}/routes/new", json={**ROUTE, "timeout": "x"}, params=FIRST), 422)
    assert [one["pointer"] for one in wrong["errors"]] == ["/timeout"]
    deep = {**ROUTE, "match": {"path": "/new", "headers": {"a/b~c": 7}}}
    wrong = problem(await admin.http.put(f"{V1}/routes/new", json=deep, params=FIRST), 422)
    assert wrong["errors"][0]["pointer"] == "/match/headers/a~1b~0c"
    wrong = problem(await admin.http.patch(f"{V1}/routes/rest", content=b'{"upstream": "nix"}', headers=PATCH), 422)
    assert [one["pointer"] for one in wrong["errors"]] == ["/upstream"]
    wrong = problem(await admin.http.patch(f"{V1}/routes/rest", content=b'{"match": null}', headers=PATCH), 422)
    assert [one["pointer"] for one in wrong["errors"]] == ["/match"]
    wrong = problem(await admin.http.patch(f"{V1}/routes/rest", content=b'{"upstream": null}', headers=PATCH), 422)
    assert [one["pointer"] for one in wrong["errors"]] == [""]
    wrong = problem(await admin.http.put(f"{V1}/routes/new", json={"match": {"path": "/x"}}, params=FIRST), 422)
    assert [one["pointer"] for one in wrong["errors"]] == [""]
    wrong = problem(await admin.http.delete(f"{V1}/upstreams/resumes"), 422)
    assert {one["pointer"] for one in wrong["errors"]} == {None}


async def test_a_resource_keeps_its_name(admin: Admin) -> None:
    """So scopes hold; a route whose name was derived keeps it when it matches something else."""
    problem(await admin.http.put(f"{V1}/routes/rest", json={**ROUTE, "name": "other"}), 422)
    problem(await admin.http.patch(f"{V1}/routes/rest", content=b'{"name": "other"}', headers=PATCH), 422)
    await admin.http.patch(f"{V1}/routes/%2Fapi", content=b'{"match": {"path_prefix": "/v2"}}', headers=PATCH)
    assert (await admin.http.get(f"{V1}/routes/%2Fapi")).json()["match"] == {"path_prefix": "/v2"}


@pytest.mark.parametrize("tag", ["document", "resource"])
async def test_a_resource_is_written_when_it_is_still_what_was_read(admin: Admin, tag: str) -> None:
    """By its own tag, which others' changes leave alone, or by the document's."""
    own = (await admin.http.get(f"{V1}/routes/rest")).headers["etag"]
    headers = {"if-match": own if tag == "resource" else '"1"'}
    await admin.http.put(f"{V1}/routes/new", json=ROUTE, params=FIRST)
    response = await admin.http.put(f"{V1}/routes/rest", json=REST, headers=headers)
    assert response.status_code == (200 if tag == "resource" else 412), response.text
    problem(await admin.http.put(f"{V1}/routes/rest", json=ROUTE, headers={"if-none-match": "*"}), 412)
    problem(await admin.http.delete(f"{V1}/routes/none", headers={"if-match": "*"}), 404)


async def test_writers_at_the_same_time_lose_nothing(admin: Admin) -> None:
    """Twelve routes are put at once: each that was answered 200 is there, and the history has no fork."""
    asked = (
        admin.http.put(f"{V1}/routes/r{n}", json={**ROUTE, "match": {"path": f"/r{n}"}}, params=FIRST)
        for n in range(12)
    )
    answers = await asyncio.gather(*asked)
    good = {f"r{n}" for n, answer in enumerate(answers) if answer.status_code == 200}
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert good
    there = {one["name"] for one in (await admin.http.get(f"{V1}/routes", params={"limit": 200})).json()["items"]}
    assert good == there - {"/api", "rest"}


async def test_lists_come_in_pages(admin: Admin) -> None:
    """Each page says where the next begins; names can be searched."""
    await admin.http.put(f"{V1}/routes/new", json=ROUTE, params=FIRST)
    first = (await admin.http.get(f"{V1}/routes", params={"limit": 2})).json()
    last = (await admin.http.get(f"{V1}/routes", params={"limit": 2, "after": first["after"]})).json()
    assert [one["name"] for one in first["items"] + last["items"]] == ["new", "/api", "rest"]
    assert last["after"] is None
    assert [one["name"] for one in (await admin.http.get(f"{V1}/routes", params={"q": "ES"})).json()["items"]] == [
        "rest"
    ]
    problem(await admin.http.get(f"{V1}/routes", params={"after": "gone"}), 422)
    problem(await admin.http.get(f"{V1}/routes", params={"limit": 1000}), 422)


async def test_the_way_back(admin: Admin) -> None:
    """A roll-back is a new revision with the old text, and its difference is none."""
    await admin.http.put(f"{V1}/document", content=DOCUMENT.replace("5s", "6s"), headers=YAML)
    done = await admin.http.post(f"{V1}/revisions/1/rollback", headers={"if-match": '"2"'})
    assert (done.json()["revision"], await text(admin)) == (3, DOCUMENT)
    assert (await admin.http.get(f"{V1}/revisions/3")).json()["message"] == "Roll back to revision 1"
    assert (await admin.http.get(f"{V1}/revisions/1/diff", params={"to": 3})).json()["changes"] == []
    problem(await admin.http.post(f"{V1}/revisions/9/rollback"), 404)
    page = (await admin.http.get(f"{V1}/revisions", params={"author": "admin-token", "limit": 1})).json()
    assert ([one["number"] for one in page["items"]], page["before"]) == ([3], 3)


async def test_every_write_is_in_the_audit_log(admin: Admin) -> None:
    """Intent, then result with what changed; one entry for what was refused; no secret in any."""
    viewer, operator = await admin.token("viewer"), await admin.token("operator")
    async with admin.client(operator, "198.51.100.7") as http:
        await http.put(f"{V1}/routes/new", json=ROUTE, params=FIRST, headers={"x-forwarded-for": "203.0.113.9"})
        await http.put(f"{V1}/document", content="rubbish", headers=YAML)
        await http.put(f"{V1}/document", content=DOCUMENT, headers={**YAML, "if-match": '"1"'})
    async with admin.client(viewer) as http:
        await http.delete(f"{V1}/routes/new")
    made = (await admin.http.post(f"{V1}/tokens", json={"name": "n", "role": "viewer"})).json()
    entries = list(reversed((await admin.http.get(f"{V1}/audit")).json()["items"]))
    shown = [(one["actor"], one["action"], one["detail"]["phase"], one["detail"].get("status")) for one in entries]
    assert shown == [
        ("token:a operator", "routes.put", "intent", None),
        ("token:a operator", "routes.put", "result", None),
        ("token:a operator", "document.put", "refused", 422),
        ("token:a operator", "document.put", "refused", 412),
        ("token:a viewer", "routes.delete", "refused", 403),
        ("admin-token", "tokens.create", "intent", None),
        ("admin-token", "tokens.create", "result", None),
    ]
    result = entries[1]
    assert (result["address"], result["target"]) == ("198.51.100.7", "/routes/new")
    assert result["detail"]["changes"] == {"names": ["added routes new"], "more": 0}
    assert (result["detail"]["parent"], result["detail"]["revision"], result["detail"]["of"]) == (1, 2, 1)
    assert made["token"] not in str(entries)
    verdict = (await admin.http.get(f"{V1}/audit/verify")).json()
    assert verdict == {"whole": True, "first_bad": None, "count": 7, "head": entries[-1]["digest"]}


async def test_what_cannot_be_audited_is_not_done(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and nothing has changed."""
    assert admin.store is not None

    async def broken(**_: object) -> None:
        raise StoreError("gone")

    monkeypatch.setattr(admin.store.audit, "append", broken)
    problem(await admin.http.put(f"{V1}/routes/new", json=ROUTE, params=FIRST), 503)
    problem(await admin.http.post(f"{V1}/tokens", json={"name": "n", "role": "viewer"}), 503)
    assert await text(admin) == DOCUMENT
    assert (await admin.http.get(f"{V1}/tokens")).json()["items"] == []


async def test_without_a_store_nothing_can_be_changed(tmp_path: Path) -> None:
    """503 in words, and what needs none works."""
    async with running_admin(tmp_path, url=None) as admin:
        problem(await admin.http.put(f"{V1}/document", content=DOCUMENT, headers=YAML), 503)
        problem(await admin.http.get(f"{V1}/revisions"), 503)
        problem(await admin.http.get(f"{V1}/document"), 404)
        assert (await admin.http.post(f"{V1}/validate", content=DOCUMENT)).status_code == 200


async def test_a_state_may_have_to_be_named(tmp_path: Path) -> None:
    """428 without If-Match, when the settings say so."""
    async with running_admin(tmp_path, if_match_required=True) as admin:
        problem(await admin.http.put(f"{V1}/document", content=DOCUMENT, headers=YAML), 428)
        problem(await admin.http.delete(f"{V1}/routes/rest"), 428)
        assert (await admin.http.put(f"{V1}/routes/new", json=ROUTE, params=FIRST)).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"role": "viewer"}, 422),
        ({"name": "n", "role": "root"}, 422),
        ({"name": "n", "role": "viewer", "scopes": ["routes"]}, 422),
        ({"name": "n\n", "role": "viewer"}, 422),
        ({"name": "n", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z"}, 422),
        ({"name": "n", "role": "viewer", "expires_at": "2030-01-01T00:00:00"}, 422),
        ({"name": "n", "role": "viewer", "x": 1}, 422),
        ({"name": "n", "role": "viewer", "scopes": ["/routes/team-a-"], "expires_at": "2030-01-01T00:00:00Z"}, 201),
    ],
)
async def test_tokens_are_made_of_what_makes_sense(admin: Admin, body: dict[str, Any], status: int) -> None:
    """Everything else is named."""
    response = await admin.http.post(f"{V1}/tokens", json=body)
    assert response.status_code == status, response.text
    if status == 201:
        async with admin.client(response.json()["token"]) as http:
            who = (await http.get(f"{V1}/whoami")).json()
        assert (who["name"], who["role"], who["scopes"]) == ("token:n", "viewer", ["/routes/team-a-"])


@pytest.mark.parametrize(
    ("method", "path", "headers", "content", "status"),
    [
        ("PUT", "/document", {"content-type": "image/png"}, b"x", 415),
        ("PUT", "/document", {"content-type": "application/yaml; charset=latin-1"}, b"x", 415),
        ("PUT", "/routes/x", {}, b"{}", 415),
        ("PATCH", "/routes/rest", {"content-type": "application/json"}, b"{}", 415),
        ("PUT", "/routes/x", {"content-type": "application/json"}, b"{", 400),
        ("PUT", "/routes/x", {"content-type": "application/json"}, b"7", 422),
        ("PUT", "/routes/x", {"content-type": "application/json"}, b'"' + b"x" * 600_000 + b'"', 413),
        ("POST", "/validate", {}, b" " * (4 * 1024 * 1024 + 1), 413),
        ("PUT", "/upstreams/resumes?before=x", {"content-type": "application/json"}, b"{}", 422),
        ("PUT", "/routes/new?before=gone", {"content-type": "application/json"}, b'{"match": {}}', 422),
        ("PUT", "/document?wait=601", YAML, b"", 422),
        ("PUT", "/document?wait=nan", YAML, b"", 422),
        ("POST", "/rollout/promote", {}, b"", 409),
        ("DELETE", "/tokens/none", {}, b"", 404),
        ("GET", "/nodes/none", {}, b"", 404),
        ("GET", "/revisions/0", {}, b"", 422),
        ("GET", "/nothing", {}, b"", 404),
        ("POST", "/status", {}, b"", 405),
        ("POST", "/import", {}, b"", 415),
    ],
)
async def test_what_is_not_right_is_a_problem_document(
    admin: Admin, method: str, path: str, headers: dict[str, str], content: bytes, status: int
) -> None:
    """With the status that fits."""
    problem(await admin.http.request(method, f"{V1}{path}", headers=headers, content=content), status)


@pytest.mark.parametrize("query", ["dryrun=true", "dry_run=true&dry_run=true", "DRY_RUN=true"])
async def test_a_misspelt_parameter_changes_nothing(admin: Admin, query: str) -> None:
    """Who meant a dry run gets no real one."""
    refused = problem(await admin.http.delete(f"{V1}/routes/rest?{query}"), 422)
    assert refused["errors"][0]["pointer"].startswith("/query/")
    assert await text(admin) == DOCUMENT


async def test_methods_of_a_path_can_be_asked_for(admin: Admin) -> None:
    """OPTIONS says all; a method that is none says them too."""
    answer = await admin.http.options(f"{V1}/routes/rest")
    assert (answer.status_code, answer.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, PATCH, PUT")
    assert (await admin.http.request("TRACE", f"{V1}/audit")).headers["allow"] == "GET, HEAD, OPTIONS"
    assert (await admin.http.head(f"{V1}/events")).status_code == 200


async def test_nodes_show_who_is_connected_and_who_was(admin: Admin) -> None:
    """With group, software and whether it has everything; by group and by whether it is here."""
    clients = []
    for name in ("envoy-1", "envoy-2"):
        state = StreamState(nonce_prefix="n", aggregated=True, shared=Shared(), limits=Limits())
        node = Node(id=name, cluster="edge", user_agent="envoy 1.40.0")
        clients.append(Client(node=node, group="edge", peer="unix:", connected_at=0.0, state=state))
        admin.ledger.connected(clients[-1])
    admin.ledger.disconnected(clients[1])
    shown = (await admin.http.get(f"{V1}/nodes")).json()
    assert [(one["id"], one["group"], one["disconnected_at"] is None) for one in shown] == [
        ("envoy-1", "edge", True),
        ("envoy-2", "edge", False),
    ]
    gone = (await admin.http.get(f"{V1}/nodes", params={"connected": False, "group": "edge"})).json()
    assert [one["id"] for one in gone] == ["envoy-2"]
    assert (await admin.http.get(f"{V1}/nodes/envoy-1")).json()["user_agent"] == "envoy 1.40.0"


async def test_everything_out_and_in_again(admin: Admin, tmp_path: Path) -> None:
    """Into another gateway, whose first revision gives way: history, tokens that still let in, and a whole chain."""
    token = await admin.token("viewer")
    await admin.http.put(f"{V1}/routes/new", json=ROUTE, params=FIRST)
    exported = (await admin.http.get(f"{V1}/export")).content
    assert token not in exported.decode()
    (tmp_path / "other").mkdir()
    headers = {"content-type": "application/x-ndjson"}
    async with running_admin(tmp_path / "other") as other:
        problem(await other.http.post(f"{V1}/import", content=exported[:-20], headers=headers), 422)
        counts = (await other.http.post(f"{V1}/import", content=exported, headers=headers)).json()["counts"]
        assert (counts["revision"], counts["token"]) == (2, 1)
        async with other.client(token) as http:
            assert (await http.get(f"{V1}/whoami")).json()["role"] == "viewer"
        assert (await other.http.get(f"{V1}/revisions/2")).json()["text"] == await text(admin)
        verdict = (await other.http.get(f"{V1}/audit/verify")).json()
        assert (verdict["whole"], verdict["count"] > counts["audit"]) == (True, True)
        problem(await other.http.post(f"{V1}/import", content=exported, headers=headers), 422)


async def test_health_and_metrics_are_open(admin: Admin) -> None:
    """Without a token."""
    async with admin.client(None) as http:
        assert (await http.get("/health/ready")).status_code == 200
        assert "merged 1" in (await http.get("/metrics")).text


async def test_keys_of_every_ext_authz_are_shown(tmp_path: Path) -> None:
    """By name and age; who does not answer is named with the reason."""
    report = KeyReport(
        sources=(
            ReportedSource(
                provider="platform",
                location="https://id.example.com/jwks.json",
                keys=(ReportedKey(kid="one", kty="EC", algorithms=("ES256",), thumbprint="abc"),),
                skipped=(),
                usable=True,
                age=12.0,
                next_refresh=228.0,
                usable_for=3888.0,
                failures=0,
                last_error=None,
            ),
        )
    )
    with identity_provider() as service:
        service.publish(report.encode())
        targets = [f"http://127.0.0.1:{service.port}", "http://127.0.0.1:1"]
        async with running_admin(tmp_path, auth_targets=targets) as admin:
            there, away = (await admin.http.get(f"{V1}/auth/keys")).json()
    assert (there["service"], there["error"]) == (targets[0], None)
    assert there["sources"][0]["keys"][0]["kid"] == "one"
    assert (away["sources"], bool(away["error"])) == ([], True)
