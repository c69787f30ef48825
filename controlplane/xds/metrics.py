"""What the xDS server counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from controlplane.xds.messages import Response


class XdsMetrics:
    """The ``gateway_xds_*`` families. ``type`` is the last part of a type URL; only types of a snapshot become one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.streams = Gauge("gateway_xds_streams", "Streams that are open now.", registry=registry)
        self._turned_away = Counter(
            "gateway_xds_streams_turned_away",
            "Streams that were not served, or ended early.",
            ["reason"],
            registry=registry,
        )
        self._responses = Counter("gateway_xds_responses", "Responses sent.", ["type"], registry=registry)
        self._resources = Counter("gateway_xds_resources", "Resources sent.", ["type"], registry=registry)
        self._bytes = Counter("gateway_xds_response_bytes", "Bytes of all responses.", ["type"], registry=registry)
        self._answers = Counter("gateway_xds_answers", "What clients said.", ["type", "answer"], registry=registry)

    def sent(self, response: Response, size: int) -> None:
        """A response of ``size`` bytes has gone out."""
        kind = _kind(response.type_url)
        self._responses.labels(kind).inc()
        self._resources.labels(kind).inc(len(response.resources))
        self._bytes.labels(kind).inc(size)

    def answered(self, type_url: str, *, accepted: bool) -> None:
        """A client has acknowledged or refused a response."""
        self._answers.labels(_kind(type_url), "ack" if accepted else "nack").inc()

    def turned_away(self, reason: str) -> None:
        """A stream was not served, or ended before its time; ``reason`` is one of a few words."""
        self._turned_away.labels(reason).inc()


def _kind(type_url: str) -> str:
    return type_url.rpartition(".")[2]
