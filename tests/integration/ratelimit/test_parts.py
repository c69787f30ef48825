"""Limits by whatever makes a caller, and by what requests cost: the guide's document through a real Envoy."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitRequest
from google.protobuf.any_pb2 import Any
from prometheus_client import CollectorRegistry

from controlplane.config import load_document
from controlplane.resolve import resolve
from controlplane.translate import translate_release
from servicekit.contracts import LimitPolicy
from tests.harness.echo import Echo, running_echo
from tests.harness.envoy import envoy_settings, running_envoy, short_folder, static_bootstrap
from tests.harness.guides import document_of
from tests.harness.ports import free_port
from tests.harness.valkey import Valkey
from tests.integration.ratelimit.rig import Rig, be_patient, limiter_on, policy_of, running_store, serving

TEAM = "x-team"


@dataclass(frozen=True, slots=True)
class Scene:
    """A running gateway, a client of it, and what stands around."""

    client: httpx.AsyncClient
    app: Echo
    rig: Rig
    metrics: CollectorRegistry

    async def until_left(self, limit: str, by: str, left: int) -> None:
        """Look until who says nothing of itself has so much left."""
        began = time.monotonic()
        while await self._left(limit, by) != left:
            assert time.monotonic() - began < 10, "waited in vain"

    async def until_asked(self, times: int) -> None:
        """Look until the backend has got so many requests."""
        began = time.monotonic()
        while len(self.app.requests) < times:
            assert time.monotonic() - began < 10, "waited in vain"
            await asyncio.sleep(0.001)

    async def _left(self, limit: str, by: str) -> int:
        request = RateLimitRequest(domain="gateway")
        descriptor = request.descriptors.add()
        descriptor.hits_addend.SetInParent()
        for key, value in (("limit", limit), ("by", by)):
            descriptor.entries.add(key=key, value=value)
        return int((await self.rig.stub.ShouldRateLimit(request, timeout=5)).statuses[0].limit_remaining)

    async def statuses(self, path: str, times: int = 3, *, headers: Mapping[str, str] | None = None) -> list[int]:
        """What so many requests are answered, one after the other."""
        return [(await self.client.get(path, headers=headers)).status_code for _ in range(times)]


@pytest.fixture
async def scene(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """The guide's document."""
    be_patient(monkeypatch)
    with ExitStack() as stack:
        folder, app = stack.enter_context(short_folder()), stack.enter_context(running_echo())
        port = free_port()
        document = document_of("rate-limits.md")
        for written, real in ((8048, app.port), (8000, port)):
            document = re.sub(rf"(:|port: ){written}\b", rf"\g<1>{real}", document)
        release = translate_release(resolve(load_document(document.encode(), origin="g"), listen_address="127.0.0.1"))
        (resource,) = release.services.of_type(LimitPolicy.TYPE_URL).values()
        policy = policy_of(*LimitPolicy.decode(Any.FromString(resource.body).value).limits)
        registry = CollectorRegistry()
        async with (
            running_store(valkey.url) as store,
            serving(limiter_on(store, policy, registry), policy, folder / "ratelimit.sock") as rig,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client,
        ):
            settings = envoy_settings(folder)
            bootstrap = static_bootstrap(release.groups["edge"], settings)
            stack.enter_context(running_envoy(bootstrap, settings, folder=folder))
            yield Scene(client, app, rig, registry)


async def test_a_caller_is_made_of_its_parts(scene: Scene) -> None:
    """Another team or another path is another caller, another query is not; who says no team is one of many."""
    red, blue = {TEAM: "red"}, {TEAM: "blue"}
    assert await scene.statuses("/team/a?x=1", headers=red) == [200, 200, 429]
    assert await scene.statuses("/team/a?x=2", 1, headers=red) == [429]
    assert await scene.statuses("/team/b", 1, headers=red) == [200]
    assert await scene.statuses("/team/a", 1, headers=blue) == [200]
    assert await scene.statuses("/team/a") == [200, 200, 429]
    assert await scene.statuses("/team/a", 1, headers={TEAM: ""}) == [429]


async def test_what_is_no_text_escapes_no_limit(scene: Scene) -> None:
    """Bytes that are no UTF-8, in a header and, percent-encoded, in a parameter."""
    assert await scene.statuses("/search?q=%ff") == [200, 200, 429]
    odd = {b"x-team": b"\xff\xfe"}
    assert [(await scene.client.get("/team/a", headers=odd)).status_code for _ in range(3)] == [200, 200, 429]


async def test_parameters_methods_routes_and_everyone(scene: Scene) -> None:
    """Each by itself."""
    assert await scene.statuses("/search?q=ab") == [200, 200, 429]
    assert await scene.statuses("/search?q=a%62", 1) == [429], "the same word"
    assert await scene.statuses("/search?q=b", 1) == [200]
    assert await scene.statuses("/one", 4) == [200, 200, 200, 429]
    assert (await scene.client.post("/one")).status_code == 200
    assert await scene.statuses("/two", 1) == [200]
    assert await scene.statuses("/all/a", 3) == [200] * 3
    assert await scene.statuses("/all/b", 2) == [200, 429]


async def test_cases(scene: Scene) -> None:
    """By the whole value, its beginning, and an expression."""
    assert await scene.statuses("/plan", headers={"x-plan": "gold"}, times=4) == [200, 200, 200, 429]
    assert await scene.statuses("/plan", headers={"x-plan": "silver"}, times=2) == [200, 429]
    answer = await scene.client.get("/plan", headers={"x-plan": "internal-tests"})
    assert not [name for name in answer.headers if name.startswith("ratelimit")]
    assert await scene.statuses("/plan", headers={"x-plan": "internal-tests"}, times=5) == [200] * 5
    assert await scene.statuses("/plan", headers={"x-plan": "old-v12"}, times=1) == [429]
    assert await scene.statuses("/plan", headers={"x-plan": "old-v12x"}, times=2) == [200, 429]


async def test_costs(scene: Scene) -> None:
    """A number, what the request says within bounds, and what the response says when it is over."""
    assert await scene.statuses("/export") == [200, 200, 429]
    assert await scene.statuses("/batch", 1, headers={"x-batch": "6"}) == [200]
    assert await scene.statuses("/batch", 1, headers={"x-batch": "5"}) == [429], "four are left"
    assert await scene.statuses("/batch", 2, headers={"x-batch": "-3"}) == [200, 200], "one each"
    assert await scene.statuses("/batch", 2, headers={"x-batch": "0"}) == [200, 200]
    assert await scene.statuses("/batch", 1) == [429]
    assert await scene.statuses("/tokens", 3) == [200] * 3
    scene.app.extra["x-tokens-used"] = "5000"
    answer = await scene.client.get("/tokens")
    assert (answer.status_code, answer.headers["ratelimit-remaining"]) == (200, "6")
    del scene.app.extra["x-tokens-used"]

    await scene.until_left("tokens", "header:x-team", 0)
    assert await scene.statuses("/tokens", 1) == [429]


async def test_requests_at_a_time(scene: Scene) -> None:
    """Two are under way and a third is refused; those that end make room, also if the client gave up or gave them one
    name, and whoever answered."""
    for round_ in range(3):
        scene.app.hold.clear()
        headers = {"x-request-id": "the-same"} if round_ == 1 else {}
        slow = [asyncio.create_task(scene.client.get("/slow", headers=headers)) for _ in range(2)]
        await scene.until_left("at-a-time", "header:x-team", 0)
        refused = await scene.client.get("/slow", headers=headers)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.headers["ratelimit-policy"] == '"at-a-time";q=2;qu="concurrent-requests"'
        if round_ == 2:
            slow[0].cancel()
            await scene.until_left("at-a-time", "header:x-team", 1)
        scene.app.hold.set()
        statuses = [answer.status_code for answer in await asyncio.gather(*slow[round_ // 2 :])]
        assert set(statuses) == {200}
        await scene.until_left("at-a-time", "header:x-team", 2)


async def test_who_is_over_the_limit_waits(scene: Scene) -> None:
    """A burst of one and four a second: who comes after the first waits for its turn, four at a time."""
    began = time.monotonic()
    answers = await asyncio.gather(*(scene.client.get("/patient") for _ in range(9)))
    took = time.monotonic() - began
    passed = sum(answer.status_code == 200 for answer in answers)
    refused = [answer for answer in answers if answer.status_code != 200]
    assert passed >= 5
    assert took >= (passed - 1) / 4 - 0.01, "nobody got a token before its time"
    assert {(answer.status_code, int(answer.headers["retry-after"]) >= 1) for answer in refused} <= {(429, True)}
    served = scene.metrics.get_sample_value("gateway_ratelimit_waited_total", {"outcome": "served"})
    assert served == passed - 1


async def test_the_urgent_go_first(scene: Scene) -> None:
    """It comes when three stand in line, and is served before one of them at least (in one of a few tries: a machine
    that is slow lets the line be served meanwhile)."""
    for _ in range(5):
        seen = len(scene.app.requests)
        line = [asyncio.create_task(scene.client.get("/patient")) for _ in range(4)]
        await scene.until_asked(seen + 1)
        assert (await scene.client.get("/urgent")).status_code == 200
        await asyncio.gather(*line)
        paths = [one["path"] for one in scene.app.requests[seen:]]
        if paths.index("/urgent") < len(paths) - 1:
            return
    raise AssertionError("nobody was overtaken")


async def test_who_is_over_the_limit_goes_on_marked(scene: Scene) -> None:
    """The upstream hears of it, and of nobody else's word for it."""
    said = {"x-gateway-degraded": "please"}
    assert await scene.statuses("/cheaper", headers=said) == [200] * 3
    marks = [one["headers"].get("x-gateway-degraded") for one in scene.app.requests]
    assert marks == [None, "cheaper", "cheaper"]


async def test_a_shadow_refuses_nobody(scene: Scene) -> None:
    """It counts beside a limit that does; and fields as the draft has them."""
    answers = [await scene.client.get("/planned") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"beside-it";q=3;w=180'
    assert [answer.headers["ratelimit"].partition(";t=")[0] for answer in answers] == [
        f'"beside-it";r={left}' for left in (2, 1, 0, 0)
    ]
    assert "ratelimit-limit" not in answers[0].headers
    seen = scene.metrics.get_sample_value("gateway_ratelimit_shadow_exceeded_total", {"limit": "planned", "tier": "ip"})
    assert seen == 3
