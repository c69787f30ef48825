"""What the ext_authz process can be told from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from servicekit.address import Address, AddressSetting
from servicekit.redis_client import RedisUrl
from servicekit.settings import ApiKeySettings, SecretsSettings, XdsClientSettings


def _check_collector(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username is not None:
        raise ValueError("it is http://HOST:PORT or https://HOST:PORT")
    return url


class ExtAuthzSettings(XdsClientSettings, SecretsSettings, ApiKeySettings):
    """Settings of ``gateway ext-authz``."""

    ext_authz_bind: AddressSetting = Address(host="127.0.0.1", port=18001)
    """Where Envoy asks (gRPC)."""

    ext_authz_http_bind: AddressSetting = Address(host="127.0.0.1", port=18011)
    """Health, metrics, and which keys tokens are verified with (never the keys)."""

    ext_authz_policy: Path | None = None
    """A file with the policy (JSON), for an ext_authz that runs without a control plane: the one is not asked then."""

    otlp_endpoint: Annotated[str, AfterValidator(_check_collector)] | None = None
    """Where spans of traced requests go: an OTLP collector that takes HTTP, as in ``http://collector:4318``. Without it
    there are none."""

    redis_url: RedisUrl | None = None
    """Redis or Valkey that holds the revocations: redis://, rediss:// (TLS) or unix:///path, with user and password
    where needed. Without it a document that asks for revocations is refused."""

    ext_authz_cache_entries: int = Field(default=10_000, ge=1, le=10_000_000)
    """Accepted credentials remembered at most; a tenth as many refused ones are. About 2 KiB each."""
