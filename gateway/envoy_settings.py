"""What the Envoy process can be told from outside."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, field_validator

from servicekit.address import Address, AddressSetting
from servicekit.settings import XdsClientSettings

LEAST_MEMORY: Final = 32 << 20
"""Bytes; Envoy alone needs about half of it."""

NodeText = Annotated[str, Field(max_length=253)]


class EnvoySettings(XdsClientSettings):
    """Settings that become Envoy's bootstrap."""

    node_region: NodeText = ""
    """The region that this Envoy is in (xDS ``Node.locality``), for node groups and for upstreams that prefer
    the own zone."""

    node_zone: NodeText = ""
    """The zone of the region that this Envoy is in, likewise."""

    node_metadata: dict[NodeText, NodeText] = Field(default={}, max_length=100)
    """What else node groups choose this Envoy by (xDS ``Node.metadata``), as a JSON mapping of texts such as
    ``{"role": "edge"}``."""

    ext_authz_address: AddressSetting = Address(host="127.0.0.1", port=18001)
    """The ext_authz service."""

    ratelimit_address: AddressSetting = Address(host="127.0.0.1", port=18002)
    """The rate-limit service."""

    response_cache_address: AddressSetting = Address(host="127.0.0.1", port=18004)
    """The response cache, for routes with `cache`."""

    envoy_health_bind: AddressSetting = Address(host="127.0.0.1", port=8002)
    """Where Envoy answers ``/health/live``, ``/health/ready``, ``/health/startup`` and ``/metrics``."""

    envoy_admin: AddressSetting = Address(host="127.0.0.1", port=8003)
    """Envoy's admin interface, which can stop it and shows its whole configuration: a Unix socket or loopback."""

    envoy_concurrency: int | None = Field(default=None, ge=1, le=1024)
    """Worker threads; without it one for each core."""

    max_connections: int = Field(default=50_000, ge=1)
    """Client connections that one Envoy holds at most; further ones are refused."""

    memory_limit: int | None = Field(default=None, ge=LEAST_MEMORY)
    """Bytes of memory that this Envoy may use: near them it sheds work instead of being killed. Without it the limit of
    its container (cgroup), if it has one."""

    ca_file: Path | None = None
    """Certificate authorities (PEM) that vouch for upstreams with TLS; without it those of the machine."""

    @field_validator("envoy_admin")
    @classmethod
    def _stays_on_machine(cls, address: Address) -> Address:
        if not address.stays_on_machine:
            raise ValueError(f"{address} is beyond this machine: Envoy's admin interface has no password")
        return address

    @field_validator("envoy_health_bind")
    @classmethod
    def _is_reachable(cls, address: Address) -> Address:
        if address.is_unix:
            raise ValueError(f"{address}: probes and Prometheus need host:port")
        return address


def system_ca_file() -> Path | None:
    """The machine's bundle of certificate authorities, where OpenSSL looks for it; ``None`` without one."""
    paths = ssl.get_default_verify_paths()
    candidates = (paths.cafile, paths.openssl_cafile, *_BUNDLES)
    return next((Path(path) for path in candidates if path and Path(path).is_file()), None)


_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/cert.pem",  # others
)
