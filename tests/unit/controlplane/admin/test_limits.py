"""Limits of the live document over the admin API, and other amounts for single callers of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from controlplane.limit_state import LimitStates
from servicekit.redis_client import redis_client
from tests.harness.admin import DOCUMENT, Admin, running_admin
from tests.harness.valkey import running_valkey

LIMITS = DOCUMENT.replace(
    "  per-ip:",
    "  a-day: {by: ip, requests: 10, per: 24h, algorithm: fixed_window}\n"
    "  guard: {by: everyone, requests: 9, per: 1s, enforce: local}\n"
    "  mixed:\n"
    "    by: [header:x-team, path]\n"
    "    requests: 9\n"
    "    per: 1m\n"
    "    cost: {response_header: x-cost, most: 5}\n"
    "    cases:\n"
    "      - {when: {path: {prefix: /e}}, requests: 2}\n"
    "      - {when: {header:x-team: vip}, unlimited: true}\n"
    "  per-ip:",
)
PER_IP = "/api/v1/limits/per-ip/overrides"


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    """With limits of several kinds."""
    async with running_admin(tmp_path, document=LIMITS) as made:
        yield made


async def make(admin: Admin, **body: Any) -> dict[str, Any]:
    """An override that there can be."""
    answer = await admin.http.post(PER_IP, json={"caller": ["192.0.2.1"], "requests": 1000, **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_limits_are_listed(admin: Admin) -> None:
    """With what they say and which routes have them."""
    limits = (await admin.http.get("/api/v1/limits")).json()
    assert [one["name"] for one in limits] == ["a-day", "guard", "mixed", "per-ip"]
    one = (await admin.http.get("/api/v1/limits/per-ip")).json()
    assert one == limits[3]
    assert (one["by"], one["requests"], one["period_seconds"], one["burst"]) == (["ip"], 300, 60, 300)
    assert len(one["routes"]) == 1
    assert limits[1]["enforce"] == "local"
    assert (await admin.http.get("/api/v1/limits/none")).status_code == 404


async def test_an_override_from_its_making_to_its_end(admin: Admin) -> None:
    """What is not said is the limit's own; a change leaves what it does not name; every write is audited."""
    made = await make(admin, note="an import")
    assert (made["period_seconds"], made["burst"], made["ruling"]) == (60, 1000, "amount")
    path = f"{PER_IP}/{made['id']}"
    found = await admin.http.get(path)
    assert found.json() == made
    patch = {"content-type": "application/merge-patch+json"}
    stale = await admin.http.patch(path, json={"requests": 5}, headers=patch | {"if-match": '"o-99"'})
    assert stale.status_code == 412
    changed = await admin.http.patch(
        path, json={"ruling": "unlimited"}, headers=patch | {"if-match": found.headers["etag"]}
    )
    assert changed.status_code == 200, changed.text
    assert changed.json() | {"changed_at": None} == made | {
        "ruling": "unlimited", "requests": None, "period_seconds": None, "burst": None
    }  # fmt: skip
    assert (await admin.http.get(PER_IP)).json()["items"] == [changed.json()]
    assert (await admin.http.delete(path)).status_code == 204
    assert (await admin.http.get(path)).status_code == 404
    assert (await admin.http.delete(path)).status_code == 404
    log = (await admin.http.get("/api/v1/audit")).json()["items"]
    actions = {entry["action"] for entry in log if entry["detail"]["phase"] == "intent"}
    assert {"limits.create-override", "limits.change-override", "limits.delete-override"} <= actions


async def test_a_caller_is_one_however_written(admin: Admin) -> None:
    """An address of IPv6 is its network; a second override for it is a conflict."""
    made = await make(admin, caller=["2001:DB8::1"])
    assert made["caller"] == ["2001:db8::/64"]
    again = await admin.http.post(PER_IP, json={"caller": ["2001:db8::2"], "ruling": "denied"})
    assert again.status_code == 409


async def test_pages(admin: Admin) -> None:
    """The last changed first."""
    for n in range(3):
        await make(admin, caller=[f"192.0.2.{n}"])
    first = (await admin.http.get(PER_IP, params={"limit": 2})).json()
    second = (await admin.http.get(PER_IP, params={"limit": 2, "after": first["after"]})).json()
    assert [one["caller"][0][-1] for one in first["items"] + second["items"]] == ["2", "1", "0"]
    assert second["after"] is None


@pytest.mark.parametrize(
    ("limit", "body", "pointer"),
    [
        ("per-ip", {"caller": ["192.0.2.1"]}, "/requests"),
        ("per-ip", {"caller": ["192.0.2.1", "x"], "requests": 1}, "/caller"),
        ("per-ip", {"caller": [], "requests": 1}, "/caller"),
        ("per-ip", {"caller": [" "], "requests": 1}, "/caller/0"),
        ("per-ip", {"caller": ["192.0.2.1"], "ruling": "denied", "requests": 1}, "/requests"),
        ("per-ip", {"caller": ["192.0.2.1"], "requests": 1, "expires_at": "2001-01-01T00:00:00Z"}, "/expires_at"),
        ("per-ip", {"caller": ["192.0.2.1"], "requests": 1, "expires_at": "9999-01-01T00:00:00Z"}, "/expires_at"),
        ("per-ip", {"caller": ["192.0.2.1"], "requests": 1, "period_seconds": 31e6, "burst": 10**9}, "/burst"),
        ("a-day", {"caller": ["192.0.2.1"], "requests": 1, "period_seconds": 60}, "/period_seconds"),
        ("a-day", {"caller": ["192.0.2.1"], "requests": 1, "burst": 2}, "/burst"),
        ("guard", {"caller": ["192.0.2.1"], "requests": 1}, "/caller"),
    ],
)
async def test_what_there_cannot_be(admin: Admin, limit: str, body: dict[str, Any], pointer: str) -> None:
    """Is refused, and the answer says where."""
    answer = await admin.http.post(f"/api/v1/limits/{limit}/overrides", json=body)
    assert answer.status_code == 422, answer.text
    assert pointer in {one["pointer"] for one in answer.json()["errors"]}


async def test_a_caller_of_several_parts(tmp_path: Path) -> None:
    """A value for each, which may be empty where a client need not send it; and the case that the caller is."""
    with running_valkey() as valkey:
        states = LimitStates(redis_client(SecretStr(valkey.url), deadline=2))
        async with running_admin(tmp_path, document=LIMITS, limit_states=states) as admin:
            one = (await admin.http.get("/api/v1/limits/mixed")).json()
            assert one["by"] == ["header:x-team", "path"]
            assert one["cost"] == {"requests": None, "request_header": None, "response_header": "x-cost", "most": 5}
            assert one["cases"][0]["when"] == [{"part": "path", "kind": "prefix", "value": "/e"}]
            assert (one["cases"][1]["ruling"], one["cases"][1]["requests"]) == ("unlimited", None)
            for caller, ruling, remaining in (
                (["red", "/a"], "limit", 9),
                (["", "/a"], "limit", 9),
                (["vip", "/export"], "case", 2),
                (["vip", "/a"], "unlimited", None),
            ):
                answer = await admin.http.get("/api/v1/limits/mixed/caller", params={"value": caller})
                shown = answer.json()
                assert (shown["caller"], shown["ruling"], shown["remaining"]) == (caller, ruling, remaining)
            for wrong in (["red"], ["red", "/a", "x"]):
                answer = await admin.http.get("/api/v1/limits/mixed/caller", params={"value": wrong})
                assert answer.status_code == 422
            body = {"caller": ["red", "/a?b=c"], "ruling": "unlimited"}
            made = (await admin.http.post("/api/v1/limits/mixed/overrides", json=body)).json()
            assert made["caller"] == ["red", "/a"]
        await states.aclose()


async def test_what_a_caller_has_and_a_full_bucket(tmp_path: Path) -> None:
    """By what counts for the caller: the limit, or an override; all of it after a reset."""
    with running_valkey() as valkey:
        states = LimitStates(redis_client(SecretStr(valkey.url), deadline=2))
        async with running_admin(tmp_path, document=LIMITS, limit_states=states) as admin:
            shown = (await admin.http.get("/api/v1/limits/per-ip/caller", params={"value": "2001:db8::1"})).json()
            assert (shown["caller"], shown["ruling"], shown["remaining"]) == (["2001:db8::/64"], "limit", 300)
            made = await make(admin, caller=["2001:db8::1"], requests=7)
            shown = (await admin.http.get("/api/v1/limits/per-ip/caller", params={"value": "2001:db8::1"})).json()
            assert (shown["ruling"], shown["remaining"], shown["burst"], shown["reset_seconds"]) == ("amount", 7, 7, 0)
            path, patch = f"{PER_IP}/{made['id']}", {"content-type": "application/merge-patch+json"}
            for ruling, remaining in (("unlimited", None), ("denied", 0)):
                await admin.http.patch(path, json={"ruling": ruling}, headers=patch)
                shown = (await admin.http.get("/api/v1/limits/per-ip/caller", params={"value": "2001:db8::1"})).json()
                assert (shown["ruling"], shown["remaining"], shown["burst"]) == (ruling, remaining, None)
            for body, status in (
                ({"caller": ["192.0.2.1"]}, 204),
                ({"caller": []}, 422),
                ({"caller": ["a", "b"]}, 422),
            ):
                answer = await admin.http.post("/api/v1/limits/per-ip/reset", json=body)
                assert answer.status_code == status, answer.text
            assert (await admin.http.get("/api/v1/limits/guard/caller", params={"value": "a"})).status_code == 422
            log = (await admin.http.get("/api/v1/audit")).json()["items"]
            assert [
                one["detail"]["caller"] for one in log if one["action"] == "limits.reset" and "caller" in one["detail"]
            ]
            valkey.kill()
            assert (await admin.http.post("/api/v1/limits/per-ip/reset", json={"caller": ["a"]})).status_code == 503
        await states.aclose()


async def test_without_redis_nobody_has_anything_to_show(admin: Admin) -> None:
    """And the answer says what to set."""
    answer = await admin.http.get("/api/v1/limits/per-ip/caller", params={"value": "192.0.2.1"})
    assert answer.status_code == 503
    assert "GATEWAY_REDIS_URL" in answer.json()["detail"]


async def test_without_a_store_there_are_none(tmp_path: Path) -> None:
    """And the answer says what to set."""
    async with running_admin(tmp_path, url=None) as admin:
        assert (await admin.http.get(PER_IP)).status_code == 503
