"""Spans of checks at a collector: joined to the trace of the request that came through Envoy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from controlplane.model import Gateway
from tests.harness import gateways as g
from tests.harness.echo import running_echo
from tests.harness.envoy import short_folder
from tests.harness.ext_authz_process import ExtAuthzProcess
from tests.harness.guarded_edge import guarded_edge
from tests.harness.http_answers import Answered, Asked, http_answers
from tests.harness.jose import jwks, signing_key
from tests.harness.ports import free_port
from tests.harness.processes import wait_for
from tests.harness.tokens import claims

KEY = signing_key("ES256", "one")
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = KEY.token(claims(exp=4_000_000_000, iat=1_700_000_000))


def make(port: int, backend: int) -> Gateway:
    """One route behind a token."""
    return g.gateway(
        g.route("/api", authenticate=("platform",)),
        listeners=(g.listener(port),),
        upstreams=(g.upstream(port=backend),),
        identity_providers=(g.jwt_provider(jwks_uri=None, jwks=jwks(KEY.jwk()).decode()),),
    )


@dataclass
class Traced:
    """A gateway whose checks are traced, and what the collector got."""

    client: httpx.Client
    asked: list[Asked]
    authz: ExtAuthzProcess

    def get(self, token: str, **headers: str) -> int:
        """The status of a request."""
        return self.client.get("/api", headers={"authorization": f"Bearer {token}", **headers}).status_code

    def spans(self) -> list[dict[str, Any]]:
        """All of them."""
        batches = [json.loads(one.body)["resourceSpans"][0]["scopeSpans"][0]["spans"] for one in self.asked]
        return [span for batch in batches for span in batch]


@pytest.fixture(scope="module")
def traced() -> Iterator[Traced]:
    """One of everything."""
    port = free_port()
    with (
        short_folder() as folder,
        running_echo() as echo,
        http_answers(lambda _: Answered()) as (url, asked),
        guarded_edge(make(port, echo.port), folder, GATEWAY_OTLP_ENDPOINT=url) as (client, authz),
    ):
        yield Traced(client, asked, authz)


def test_a_check_is_a_span_of_the_requests_trace(traced: Traced) -> None:
    """With the outcome and its reason; a request that nobody records has none."""
    assert traced.get(GOOD, traceparent=f"00-{TRACE}-{PARENT}-00") == 200
    assert traced.get(GOOD) == 200
    assert traced.get(GOOD, traceparent="nonsense") == 200
    assert traced.get(GOOD, traceparent=f"00-{TRACE}-{PARENT}-01") == 200
    assert traced.get(GOOD[:-8] + "AAAAAAAA", traceparent=f"00-{TRACE}-{PARENT}-01") == 401
    spans = wait_for(lambda: traced.spans() if len(traced.spans()) >= 2 else None, seconds=5, what="two spans")
    assert {(span["traceId"], span["parentSpanId"]) for span in spans} == {(TRACE, PARENT)}
    assert len({span["spanId"] for span in spans}) == len(spans) == 2
    said = [{one["key"]: one["value"]["stringValue"] for one in span["attributes"]} for span in spans]
    assert [(one["gateway.auth.outcome"], one["gateway.auth.reason"]) for one in said] == [
        ("allow", "ok"),
        ("deny", "signature"),
    ]
    assert said[0]["gateway.auth.rule"].startswith("platform~")
    assert all(0 < int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]) < 5_000_000_000 for span in spans)


def test_no_span_holds_a_token(traced: Traced) -> None:
    """Nor anything else that a client sent."""
    before = len(traced.spans())
    traced.get(GOOD, traceparent=f"00-{TRACE}-{PARENT}-01", tracestate="vendor=secret-of-theirs")
    wait_for(lambda: len(traced.spans()) > before or None, seconds=5, what="the span")
    bodies = b"".join(one.body for one in traced.asked).decode()
    assert "secret-of-theirs" not in bodies
    assert not any(part in bodies for part in GOOD.split("."))
    assert 'gateway_trace_spans_total{outcome="exported"}' in traced.authz.metrics()
