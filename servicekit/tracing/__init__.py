"""Spans of this process in the traces of requests: W3C trace context in, OTLP over HTTP out. Off unless it is wanted.

An own small exporter instead of the OpenTelemetry SDK: see docs/decisions.
"""

from servicekit.tracing.context import TraceContext, parse_traceparent
from servicekit.tracing.exporter import SpanExporter
from servicekit.tracing.span import Span

__all__ = ["Span", "SpanExporter", "TraceContext", "parse_traceparent"]
