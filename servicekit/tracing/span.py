"""One span, and a batch of them as OTLP's JSON (OTLP 1.x, "JSON Protobuf Encoding")."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from servicekit.tracing.context import TraceContext

_KIND_SERVER: Final = 2
_STATUS_ERROR: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A piece of work that was done for somebody's request. Times are nanoseconds since the epoch."""

    name: str
    context: TraceContext
    span_id: str
    """16 hex digits."""
    begun: int
    ended: int
    attributes: Mapping[str, str]
    """Never anything that a client sent."""
    failed: bool = False


def encode_spans(spans: Iterable[Span], *, service: str) -> bytes:
    """The body of an export request."""
    scope = {"scope": {"name": service}, "spans": [_span(span) for span in spans]}
    resource = {"attributes": [_attribute("service.name", service)]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}).encode()


def _span(span: Span) -> dict[str, Any]:
    return {
        "traceId": span.context.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.context.parent_id,
        "name": span.name,
        "kind": _KIND_SERVER,
        "startTimeUnixNano": str(span.begun),
        "endTimeUnixNano": str(span.ended),
        "attributes": [_attribute(name, value) for name, value in span.attributes.items()],
        "status": {"code": _STATUS_ERROR} if span.failed else {},
    }


def _attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}
