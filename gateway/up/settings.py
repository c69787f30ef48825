"""What ``gateway up`` can be told from outside. Each process takes its own settings besides."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from servicekit.address import Address, AddressSetting
from servicekit.settings import ProcessSettings


class UpSettings(ProcessSettings):
    """Settings of ``gateway up``: those of its processes that it has to know itself, with the same defaults."""

    document: Path | None = None
    """The document to follow. Without it everything goes to ``GATEWAY_BACKEND_URL``."""

    listen_address: str = "127.0.0.1"
    """The IP address that a listener binds whose document names none."""

    port: int = Field(default=8000, ge=1, le=65535)
    """The port that clients connect to when there is no document."""

    admin_bind: AddressSetting = Address(host="127.0.0.1", port=8001)
    """Where the admin API, health and the merged metrics are served (HTTP, or HTTPS with ``admin_tls_dir``)."""

    admin_token: SecretStr | None = None
    """The bearer token of the admin API. Without it one is made for this run, in a file that only you can read."""

    api_key_secret: SecretStr | None = None
    """What API keys are hashed with that are made while the gateway runs. Without it one is made, in a file beside the
    history that only you can read."""

    envoy_health_bind: AddressSetting = Address(host="127.0.0.1", port=8002)
    """Where Envoy answers ``/health/live``, ``/health/ready``, ``/health/startup`` and ``/metrics``."""

    ext_authz_http_bind: AddressSetting = Address(host="127.0.0.1", port=18011)
    """Health and metrics of ext_authz."""

    ratelimit_http_bind: AddressSetting = Address(host="127.0.0.1", port=18012)
    """Health and metrics of the rate limiter."""

    response_cache_http_bind: AddressSetting = Address(host="127.0.0.1", port=18014)
    """Health and metrics of the response cache."""

    telemetry_http_bind: AddressSetting = Address(host="127.0.0.1", port=18013)
    """Health and metrics of telemetry."""

    demo_backend_bind: AddressSetting = Address(host="127.0.0.1", port=8048)
    """Where the demo backend listens, with ``--demo``."""

    demo_idp_bind: AddressSetting = Address(host="127.0.0.1", port=8049)
    """Where the demo identity provider listens, with ``--demo``."""

    redis_url: SecretStr | None = None
    """Redis or Valkey that holds the buckets. Without it a Valkey of its own runs, in memory."""

    state_dir: Path | None = None
    """Folder for the last good policies and the history. Without it they last as long as the run."""

    store_url: SecretStr | None = None
    """Database of the history; without it a file beside the last good policies."""
