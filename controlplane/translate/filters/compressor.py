"""Compression of responses: one filter per algorithm, off unless a route asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.route.v3.route_components_pb2 import FilterConfig
from envoy.extensions.compression.brotli.compressor.v3.brotli_pb2 import Brotli
from envoy.extensions.compression.gzip.compressor.v3.gzip_pb2 import Gzip
from envoy.extensions.compression.zstd.compressor.v3.zstd_pb2 import Zstd
from envoy.extensions.filters.http.compressor.v3.compressor_pb2 import (
    Compressor,
    CompressorOverrides,
    CompressorPerRoute,
    ResponseDirectionOverrides,
)
from google.protobuf.message import Message

from controlplane.translate import names
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.wellknown import packed, uint32

LEAST_BYTES: Final = 1024
"""Of a response that is compressed: smaller ones fit into one packet anyway."""

_LIBRARIES: Final[Mapping[str, tuple[str, Message]]] = MappingProxyType(
    {
        "br": ("brotli", Brotli(quality=uint32(4))),
        "gzip": ("gzip", Gzip()),
        "zstd": ("zstd", Zstd()),
    }
)
"""By the names of RFC 9110 §8.4.1. Brotli's default of 3 is meant for files that are compressed once."""

_ON: Final = CompressorPerRoute(overrides=CompressorOverrides(response_direction_config=ResponseDirectionOverrides()))
"""As the filter is configured; Envoy takes no route that says nothing."""


class CompressorFilter:
    """Of one algorithm."""

    is_optional = True

    def __init__(self, algorithm: str) -> None:
        self.name = names.compressor_filter(algorithm)
        self._algorithm = algorithm

    def on_connection_manager(self) -> Compressor:
        """Texts of the usual kinds that are large enough. Whoever has a weaker validator gets a weak one."""
        library, settings = _LIBRARIES[self._algorithm]
        common = Compressor.CommonDirectionConfig(min_content_length=uint32(LEAST_BYTES))
        return Compressor(
            compressor_library=TypedExtensionConfig(name=library, typed_config=packed(settings)),
            response_direction_config=Compressor.ResponseDirectionConfig(common_config=common),
        )

    def on_route(self, context: RouteContext) -> FilterConfig | None:
        """On, if the route asks for it."""
        return FilterConfig(config=packed(_ON)) if self._algorithm in context.route.compress else None

    def on_own_route(self) -> None:
        """Envoy's own answers are small."""
