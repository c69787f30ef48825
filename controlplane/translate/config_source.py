"""Where Envoy gets what one resource names: from the stream that its bootstrap opened."""

from __future__ import annotations

from envoy.config.core.v3.config_source_pb2 import AggregatedConfigSource, ApiVersion, ConfigSource


def ads() -> ConfigSource:
    """The stream that the bootstrap opened."""
    return ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)
