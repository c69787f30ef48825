"""Labels of endpoints as Envoy's subset load balancer knows them, on endpoints and on routes."""

from __future__ import annotations

from envoy.config.core.v3.base_pb2 import Metadata

from controlplane import model

_BALANCER = "envoy.lb"


def metadata(labels: model.Labels) -> Metadata:
    """What an endpoint has, or what a route asks for."""
    built = Metadata()
    built.filter_metadata[_BALANCER].update(dict(labels))
    return built
