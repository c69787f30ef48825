"""What an HTTP client sees of the limits, through a real Envoy that asks the real service."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest
from envoy.config.core.v3.base_pb2 import HeaderValue
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from google.protobuf.any_pb2 import Any
from google.protobuf.struct_pb2 import Struct

from controlplane.model import Tier
from controlplane.translate import translate_release
from servicekit.contracts import LimitPolicy
from tests.harness import decisions
from tests.harness import gateways as g
from tests.harness.echo import running_echo
from tests.harness.envoy import Envoy, envoy_settings, running_envoy, short_folder, static_bootstrap
from tests.harness.ports import free_port
from tests.harness.valkey import Valkey
from tests.integration.ratelimit.rig import Rig, be_patient, limiter_on, policy_of, running_store, serving


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway and a client of it."""

    client: httpx.AsyncClient
    envoy: Envoy
    rig: Rig
    authz: decisions.Authz


PRO = Tier(name="pro", requests=3, period=60.0, burst=3)


def alice(**more: str) -> CheckResponse:
    """ext_authz: the caller is alice."""
    answer = CheckResponse(dynamic_metadata=Struct())
    answer.ok_response.SetInParent()
    answer.dynamic_metadata.update({"user_id": "alice", "user": "platform:alice", **more})
    return answer


@pytest.fixture
async def gateway(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    """Routes limited by address, by user, and by both."""
    be_patient(monkeypatch)
    with ExitStack() as stack:
        folder, echo = stack.enter_context(short_folder()), stack.enter_context(running_echo())
        port = free_port()
        release = translate_release(
            g.gateway(
                g.route("/by-ip", rate_limits=("per-ip",)),
                g.route("/by-user", authenticate=("platform",), rate_limits=("per-user",)),
                g.route("/by-day", authenticate=("platform",), rate_limits=("a-day",)),
                g.route("/by-tier", authenticate=("platform",), rate_limits=("tiered",)),
                g.route("/by-team", authenticate=("platform",), rate_limits=("team",)),
                g.route("/by-both", authenticate=("platform",), rate_limits=("wide", "per-user")),
                listeners=(g.listener(port),),
                upstreams=(g.upstream(port=echo.port),),
                identity_providers=(g.jwt_provider(),),
                rate_limits=(
                    g.rate_limit("per-ip", "ip", burst=2, requests=20),
                    g.rate_limit("wide", "ip", burst=100),
                    g.rate_limit("a-day", "user", burst=2, requests=2, period=86_400.0, algorithm="fixed_window"),
                    g.rate_limit("per-user", "user", burst=3, requests=20),
                    g.rate_limit("team", "user claim:team method", burst=1, claim_headers={"team": "x-team"}),
                    g.rate_limit("tiered", "user", burst=1, requests=1, tiers=(PRO,)),
                ),
            )
        )
        (resource,) = release.services.of_type(LimitPolicy.TYPE_URL).values()
        limits = LimitPolicy.decode(Any.FromString(resource.body).value).limits
        authz = decisions.Authz()
        authz.answer = alice()
        stack.enter_context(decisions.serving(folder, authz=authz))
        policy = policy_of(*limits)
        async with (
            running_store(valkey.url) as store,
            serving(limiter_on(store, policy), policy, folder / "ratelimit.sock") as rig,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client,
        ):
            settings = envoy_settings(folder)
            envoy = stack.enter_context(
                running_envoy(static_bootstrap(release.groups["edge"], settings), settings, folder=folder)
            )
            yield Gateway(client, envoy, rig, authz)


async def test_over_the_limit_is_a_problem_with_all_the_headers(gateway: Gateway) -> None:
    """Two requests pass; the third is a 429 that says when to come back, to people and to machines."""
    for _ in range(2):
        assert (await gateway.client.get("/by-ip")).status_code == 200
    refused = await gateway.client.get("/by-ip")
    assert refused.status_code == 429
    assert refused.headers.get_list("content-type") == ["application/problem+json"]
    assert refused.headers.get_list("retry-after") == ["3"]
    assert refused.headers.get_list("ratelimit-limit") == ["2"]
    assert refused.headers.get_list("ratelimit-remaining") == ["0"]
    assert refused.headers.get_list("ratelimit-reset") == ["3"]
    assert json.loads(refused.content) == {
        "type": "urn:gateway:problem:rate-limit-exceeded",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "The rate limit per-ip is used up; try again in 3 s.",
        "limit": "per-ip",
        "retry_after": 3,
    }


async def test_an_allowed_answer_says_how_much_is_left(gateway: Gateway) -> None:
    """Of the caller's own limit, each header once."""
    allowed = await gateway.client.get("/by-user")
    assert allowed.status_code == 200
    assert allowed.headers.get_list("ratelimit-limit") == ["3"]
    assert allowed.headers.get_list("ratelimit-remaining") == ["2"]
    assert allowed.headers.get_list("ratelimit-reset") == ["3"]


async def test_a_window_says_when_it_ends(gateway: Gateway) -> None:
    """Two a day: the third is to come back when the day is over, in UTC."""
    answers = [await gateway.client.get("/by-day") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["ratelimit-limit"] for answer in answers] == ["2"] * 3
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    of_the_day = 86_400 - time.time() % 86_400
    for answer in answers:
        assert 0 <= (int(answer.headers["ratelimit-reset"]) - of_the_day) % 86_400 < 30
    assert answers[2].headers["retry-after"] == answers[2].headers["ratelimit-reset"]


async def test_a_tier_has_its_own_amount(gateway: Gateway) -> None:
    """Who has none, or one that the limit does not know, has the limit's own; who changes keeps what was taken."""
    for tier in ({}, {"tier": "unheard-of"}):
        gateway.authz.answer = alice(user=f"platform:{len(tier)}", **tier)
        answers = [await gateway.client.get("/by-tier") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
    gateway.authz.answer = alice(tier="pro")
    answers = [await gateway.client.get("/by-tier") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["ratelimit-limit"] for answer in answers] == ["3"] * 4
    gateway.authz.answer = alice()
    assert (await gateway.client.get("/by-tier")).status_code == 429


async def test_what_authentication_finds_out_makes_a_caller(gateway: Gateway) -> None:
    """The claim as it is forwarded, beside the user; what a client says of itself is not heard."""
    for team in ("red", "blue"):
        answer = alice()
        answer.ok_response.headers.add().header.CopyFrom(HeaderValue(key="x-team", value=team))
        gateway.authz.answer = answer
        said = {"x-team": "green"}
        assert [(await gateway.client.get("/by-team", headers=said)).status_code for _ in range(2)] == [200, 429]
        assert (await gateway.client.post("/by-team")).status_code == 200


async def test_two_filters_do_not_write_the_headers_twice(gateway: Gateway) -> None:
    """Allowed and refused: the user's limit speaks, the one by address keeps quiet."""
    answers = [await gateway.client.get("/by-both") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers.get_list("ratelimit-limit") for answer in answers] == [["3"]] * 4
    assert [answer.headers.get_list("ratelimit-remaining") for answer in answers] == [["2"], ["1"], ["0"], ["0"]]
    assert answers[3].json()["limit"] == "per-user"


async def test_a_route_that_only_has_a_limit_by_address_shows_no_figures_until_it_refuses(gateway: Gateway) -> None:
    """A flood guard is not a quota."""
    assert not [name for name in (await gateway.client.get("/by-ip")).headers if name.startswith("ratelimit")]


async def test_no_answer_of_the_service_leaves_it_to_the_failure_mode(gateway: Gateway) -> None:
    """Before its first policy the service answers with an error, and this filter lets the request pass."""
    gateway.rig.policy.applied = False
    assert [(await gateway.client.get("/by-ip")).status_code for _ in range(4)] == [200] * 4
