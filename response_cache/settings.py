"""What the response cache can be told from outside."""

from __future__ import annotations

from pydantic import Field

from servicekit.address import Address, AddressSetting
from servicekit.redis_client import RedisUrl
from servicekit.settings import PeerSettings


class ResponseCacheSettings(PeerSettings):
    """Settings of ``gateway response-cache``."""

    response_cache_bind: AddressSetting = Address(host="127.0.0.1", port=18004)
    """Where Envoy asks (gRPC)."""

    response_cache_http_bind: AddressSetting = Address(host="127.0.0.1", port=18014)
    """Where health and metrics are."""

    redis_url: RedisUrl | None = None
    """Redis or Valkey by way of which purges are heard of: redis://, rediss:// (TLS) or unix:///path, with user and
    password where needed. Without it nothing can be purged here."""

    response_cache_memory: int = Field(default=64 << 20, ge=1 << 20, le=1 << 36)
    """Bytes of answers that are kept at most; those used longest ago make room. The process itself takes some 60 MiB
    more."""
