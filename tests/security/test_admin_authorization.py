"""Every operation of the admin API by everybody: the table is made of the application, so none can be forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from controlplane.admin.api import Limits
from controlplane.admin.security.access import UnguardedOperationError, api_routes, check_every_operation, role_of
from controlplane.admin.security.identity import Role
from controlplane.admin.security.limits import Rate
from controlplane.store.tokens import TOKEN_TEXT
from servicekit.credential_text import Credential
from tests.harness.admin import DOCUMENT, TOKEN, Admin, running_admin

SECTIONS = ("listeners", "upstreams", "routes", "authentication", "rate_limits", "node_groups")
VIEWER_MAY = {
    "get_status", "whoami", "validate_document", "plan_document", "get_document", "list_revisions", "get_revision",
    "diff_revisions", "get_rollout", "list_nodes", "get_node", "stream_events", "schema",
    "list_auth_keys", "list_discovery", "get_discovery", "list_limits", "get_limit",
    *(f"{verb}_{what}" for verb, what in [
        *(("list", section) for section in SECTIONS),
        *(("get", one) for one in ("listener", "upstream", "route", "authentication", "rate_limit", "node_group")),
    ]),
}  # fmt: skip
OPERATOR_MAY = VIEWER_MAY | {
    "list_revocations", "create_revocation", "delete_revocation", "purge_cache",
    "list_api_keys", "create_api_key", "get_api_key", "change_api_key", "rotate_api_key", "revoke_api_key",
    "list_overrides", "create_override", "get_override", "change_override", "delete_override",
    "get_caller", "reset_caller", "top_callers",
    "put_document", "roll_back", "promote_canary", "abort_canary",
    *(f"{verb}_{one}" for verb in ("put", "patch", "delete")
      for one in ("listener", "upstream", "route", "authentication", "rate_limit", "node_group")),
}  # fmt: skip
WITHOUT_DRY_RUNS = {
    "promote_canary", "abort_canary", "list_revocations", "create_revocation", "delete_revocation",
    "list_api_keys", "create_api_key", "get_api_key", "change_api_key", "rotate_api_key", "revoke_api_key",
    "list_overrides", "create_override", "get_override", "change_override", "delete_override",
    "purge_cache",
    "get_caller", "reset_caller", "top_callers",
}  # fmt: skip
ADMIN_MAY = OPERATOR_MAY | {
    "list_tokens", "create_token", "revoke_token", "list_audit_entries", "verify_audit_log", "export_everything",
    "import_everything",
}  # fmt: skip
"""Written by hand from the contract, and on purpose not read from the application."""
MAY = {Role.VIEWER: VIEWER_MAY, Role.OPERATOR: OPERATOR_MAY, Role.ADMIN: ADMIN_MAY}

EXAMPLES = {"name": "rest", "number": "1", "id": "none"}


def name_of(route: APIRoute) -> str:
    """The operation's id."""
    return "schema" if route.path.endswith("openapi.json") else str(route.operation_id or route.unique_id)


def operations(admin: Admin) -> Iterator[tuple[str, str, str]]:
    """Name, method and path of each."""
    for route in api_routes(admin.api):
        path = route.path.replace(":path", "").format_map(EXAMPLES)
        for method in route.methods or ():
            yield name_of(route), method, path


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    """With a document that is live."""
    async with running_admin(tmp_path) as made:
        yield made


async def ask(http: httpx.AsyncClient, method: str, path: str, **query: str) -> httpx.Response:
    """As little of a request as there can be; one of the event stream that does not wait for events."""
    if path.endswith("/events"):
        method = "HEAD"
    return await http.request(method, path, params={"to": "1", **query} if path.endswith("diff") else query)


async def statuses(admin: Admin, bearer: str | None, **query: str) -> Mapping[str, int]:
    """What each operation answers."""
    async with admin.client(bearer) as http:
        return {name: (await ask(http, method, path, **query)).status_code for name, method, path in operations(admin)}


async def test_nobody_gets_anything(admin: Admin) -> None:
    """No credentials, rubbish, expired, revoked, one character off, the hash in the token's place: 401 everywhere."""
    assert admin.store is not None
    expired, revoked, good = (
        await admin.token("admin", lives=-1),
        await admin.token("admin"),
        await admin.token("admin"),
    )
    await admin.store.tokens.revoke(revoked.split("_")[1])
    off = good[:20] + ("A" if good[20] != "A" else "B") + good[21:]
    (token,) = [one for one in await admin.store.tokens.page() if one.id == good.split("_")[1]]
    digest_as_secret = TOKEN_TEXT.write(Credential(token.id, token.digest[:43]))
    another_secret = TOKEN_TEXT.write(TOKEN_TEXT.make(token.id))
    another_id = TOKEN_TEXT.write(TOKEN_TEXT.make())
    forged = (off, digest_as_secret, another_secret, another_id)
    assert all(TOKEN_TEXT.read(one) for one in forged[1:]), "these have to get as far as the store"
    for bearer in (None, "rubbish", TOKEN[:-1], TOKEN + "x", expired, revoked, *forged):
        assert set((await statuses(admin, bearer)).values()) == {401}, bearer
    assert (await admin.http.get("/api/v1/document")).text == DOCUMENT


@pytest.mark.parametrize("role", list(Role))
async def test_every_operation_by_every_role(admin: Admin, role: Role) -> None:
    """403 exactly where the contract says so; elsewhere whatever the request deserves."""
    found = await statuses(admin, await admin.token(role.value))
    assert set(found) == ADMIN_MAY
    assert {name for name, status in found.items() if status not in (401, 403)} == MAY[role]


async def test_a_refusal_says_which_role_is_needed(admin: Admin) -> None:
    """In words, as a member, and as a challenge (RFC 6750 §3.1)."""
    async with admin.client(await admin.token("viewer")) as http:
        refused = await http.delete("/api/v1/routes/rest")
    assert refused.json()["needed_role"] == "operator"
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]


async def test_dry_runs_are_for_viewers_and_change_nothing(admin: Admin) -> None:
    """Where there are any, however the wish is written, and never twice in two ways."""
    viewer = await admin.token("viewer")
    for wish in ("true", "1", "on"):
        found = await statuses(admin, viewer, dry_run=wish)
        allowed = {name for name, status in found.items() if status != 403}
        assert allowed == OPERATOR_MAY - WITHOUT_DRY_RUNS
    async with admin.client(viewer) as http:
        for query in ("dry_run=true&dry_run=false", "dry_run=false&dry_run=true", "Dry_run=true", "dry_run=false"):
            await http.delete(f"/api/v1/routes/rest?{query}")
    assert (await admin.http.get("/api/v1/document")).text == DOCUMENT


@pytest.mark.parametrize("role", list(Role))
async def test_scopes_are_walls(admin: Admin, role: Role) -> None:
    """Of everything, a scoped token reaches the paths that begin so, and whoami; its role counts all the same."""
    found = await statuses(admin, await admin.token(role.value, "/routes/re"))
    allowed = {name for name, status in found.items() if status != 403}
    assert allowed == MAY[role] & {"whoami", "get_route", "put_route", "patch_route", "delete_route"}


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/routes/re/../rest2",
        "/api/v1//routes/rest",
        "/api/v1/routes//rest",
        "/api/v1/routes/%72est2/../../document",
        "/api/v1/Routes/rest",
        "/api/v1/routes/rest/../../tokens",
        "/api/v1/routes/",
        "/api/v1/routes",
        "/api/v1/document",
        "//api/v1/document",
        "/api/v1/document?x=/routes/re",
    ],
)
async def test_no_path_leads_around_a_scope(admin: Admin, path: str) -> None:
    """Dots, slashes and escapes are part of a name here, and nothing else: what is reached is what begins so."""
    async with admin.client(await admin.token("admin", "/routes/rest")) as http:
        request = httpx.Request("GET", "http://admin/", headers=http.headers)
        request.url = request.url.copy_with(raw_path=path.encode())
        assert (await http.send(request)).status_code in {403, 404}


async def test_a_revoked_token_is_out_within_a_second(tmp_path: Path) -> None:
    """Though it was just used."""
    async with running_admin(tmp_path) as admin:
        assert admin.store is not None
        token = await admin.token("viewer")
        async with admin.client(token) as http:
            assert (await http.get("/api/v1/whoami")).status_code == 200
            await admin.http.delete(f"/api/v1/tokens/{token.split('_')[1]}")
            admin.timer.hurried += 1.01
            assert (await http.get("/api/v1/whoami")).status_code == 401


async def test_guessing_is_slowed_down(tmp_path: Path) -> None:
    """Ten wrong tokens, and the address waits; the one that guesses not does not."""
    limits = Limits(caller=Rate(1e9, 1e9), address=Rate(1e9, 1e9), failure=Rate(10, 1 / 6))
    async with running_admin(tmp_path, limits=limits) as admin:
        async with admin.client("guess", "203.0.113.1") as http:
            found = [(await http.get("/api/v1/status")).status_code for _ in range(12)]
        assert found == [401] * 10 + [429] * 2
        assert (await admin.http.get("/api/v1/status")).status_code == 200


async def test_an_operation_without_a_role_is_not_served() -> None:
    """It is a mistake that the process does not start with."""
    app, router = FastAPI(), APIRouter(prefix="/api/v1")

    @router.get("/open")
    async def forgotten() -> None: ...

    app.router.routes.extend(router.routes)
    with pytest.raises(UnguardedOperationError, match="/api/v1/open"):
        check_every_operation(app)
    hidden = FastAPI()
    hidden.include_router(router)
    with pytest.raises(UnguardedOperationError):
        check_every_operation(hidden)


async def test_every_operation_is_in_the_description(admin: Admin) -> None:
    """So clients that are made from it, and the tests that are, miss none."""
    described = admin.api.openapi()["paths"]
    for route in api_routes(admin.api):
        if route.include_in_schema:
            path = route.path.replace(":path", "")
            assert {method.lower() for method in route.methods or ()} <= set(described[path])
            assert role_of(route) is not None
