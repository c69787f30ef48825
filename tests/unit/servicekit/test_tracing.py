"""Trace context in, OTLP out: what is joined, what is sent, and that nobody waits for a collector."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from servicekit.tracing import Span, SpanExporter, TraceContext, parse_traceparent
from servicekit.tracing.exporter import BATCH, MOST_WAITING
from servicekit.tracing.span import encode_spans
from tests.harness.http_answers import Answered, http_answers

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CONTEXT = TraceContext(TRACE, PARENT, sampled=True)


def span(number: int = 1) -> Span:
    """One that took a microsecond."""
    return Span(
        name="a check",
        context=CONTEXT,
        span_id=f"{number:016x}",
        begun=1_000,
        ended=2_000,
        attributes={"gateway.auth.outcome": "allow"},
    )


@pytest.mark.parametrize(
    ("text", "context"),
    [
        (f"00-{TRACE}-{PARENT}-01", CONTEXT),
        (f"00-{TRACE}-{PARENT}-00", TraceContext(TRACE, PARENT, sampled=False)),
        (f"00-{TRACE}-{PARENT}-03", CONTEXT),
        (f"01-{TRACE}-{PARENT}-01-what-is-to-come", CONTEXT),
        (f"00-{TRACE}-{PARENT}-01-x", None),
        (f"ff-{TRACE}-{PARENT}-01", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{PARENT}-01", None),
        (f"00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01", None),
        (f"00-{TRACE}-{PARENT}", None),
        ("", None),
    ],
)
def test_a_trace_context_is_read_as_w3c_says(text: str, context: TraceContext | None) -> None:
    """§3.2: what cannot be read is ignored, and versions to come may say more."""
    assert parse_traceparent(text) == context


@given(st.text(max_size=80) | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True))
@example("00-" + "a" * 10_000)
def test_no_text_raises(text: str) -> None:
    """Clients write it."""
    found = parse_traceparent(text)
    assert found is None or (found.trace_id in text and found.parent_id in text)


def test_spans_are_otlp() -> None:
    """Ids in hex, times as text: the JSON encoding of OTLP."""
    body = json.loads(encode_spans([span()], service="ext-authz"))
    (resource,) = body["resourceSpans"]
    assert resource["resource"]["attributes"] == [{"key": "service.name", "value": {"stringValue": "ext-authz"}}]
    (made,) = resource["scopeSpans"][0]["spans"]
    assert (made["traceId"], made["parentSpanId"], made["spanId"]) == (TRACE, PARENT, "0000000000000001")
    assert (made["startTimeUnixNano"], made["endTimeUnixNano"], made["kind"]) == ("1000", "2000", 2)


async def until(registry: CollectorRegistry, outcome: str, count: int) -> None:
    """Wait until so many spans have had that outcome."""
    deadline = time.monotonic() + 5
    while registry.get_sample_value("gateway_trace_spans_total", {"outcome": outcome}) != count:
        assert time.monotonic() < deadline, f"not {count} {outcome}"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(("status", "outcome"), [(200, "exported"), (503, "dropped"), (302, "dropped")])
async def test_every_span_is_exported_or_counted(status: int, outcome: str) -> None:
    """In batches; what the collector does not take is dropped, and the exporter goes on."""
    registry = CollectorRegistry()
    with http_answers(lambda _: Answered(status=status, headers={"location": "http://127.0.0.1:1/"})) as (url, asked):
        exporter = SpanExporter(url, service="test", registry=registry, pause=0.01)
        task = asyncio.create_task(exporter.run())
        for number in range(BATCH + 1):
            exporter.record(span(number))
        await until(registry, outcome, BATCH + 1)
        exporter.record(span())
        await until(registry, outcome, BATCH + 2)
        await _ended(task)
    assert {one.path for one in asked} == {"/v1/traces"}
    assert len(asked) == 3


async def test_the_last_spans_are_sent_when_the_process_ends() -> None:
    """What was recorded just before is not lost."""
    registry = CollectorRegistry()
    with http_answers(lambda _: Answered()) as (url, asked):
        exporter = SpanExporter(url, service="test", registry=registry, pause=60)
        task = asyncio.create_task(exporter.run())
        await asyncio.sleep(0)
        exporter.record(span())
        await _ended(task)
    assert len(asked) == 1


async def test_without_a_collector_memory_is_bounded() -> None:
    """The newest are dropped; recording neither waits nor raises."""
    registry = CollectorRegistry()
    exporter = SpanExporter("http://127.0.0.1:1", service="test", registry=registry, pause=0.01, deadline=0.5)
    for number in range(MOST_WAITING + 10):
        exporter.record(span(number))
    assert registry.get_sample_value("gateway_trace_spans_total", {"outcome": "dropped"}) == 10
    task = asyncio.create_task(exporter.run())
    await until(registry, "dropped", MOST_WAITING + 10)
    await _ended(task)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
