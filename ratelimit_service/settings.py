"""What the rate-limit service can be told from outside."""

from __future__ import annotations

from pydantic import Field, SecretStr

from servicekit.address import Address, AddressSetting
from servicekit.redis_client import RedisUrl
from servicekit.settings import XdsClientSettings


class RateLimitSettings(XdsClientSettings):
    """Settings of ``gateway ratelimit``."""

    ratelimit_bind: AddressSetting = Address(host="127.0.0.1", port=18002)
    """Where Envoy asks (gRPC)."""

    ratelimit_http_bind: AddressSetting = Address(host="127.0.0.1", port=18012)
    """Where health and metrics are."""

    redis_url: RedisUrl = SecretStr("redis://127.0.0.1:6379/0")
    """Redis or Valkey that holds the buckets: redis://, rediss:// (TLS) or unix:///path, with user and password
    where needed. The process starts and stays up without it."""

    redis_timeout_ms: float = Field(default=8.0, gt=0, le=1000)
    """Milliseconds from a request's arrival after which it is decided without Redis."""

    redis_connections: int = Field(default=1, ge=1, le=32)
    """Calls to Redis that may be under way at a time. One call decides everything that arrived together, so that
    more than one pays only where Redis is some milliseconds away."""

    ratelimit_local_share: float = Field(default=1.0, gt=0, le=1)
    """Share of each limit that this process allows by itself while Redis is away; with n replicas, 1/n keeps the
    total as it was."""

    ratelimit_top_callers: bool = True
    """Whether the names of the callers who ask most are counted in Redis, for ten minutes, so that operators can see
    them (``gateway limits top``)."""

    ratelimit_merge_domains: bool = False
    """With ``--config``: let several files hold one domain, whose descriptors are put together. Without it, that is a
    mistake."""
