"""What the control plane can be told from outside the document."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from controlplane.admin.settings import AdminSettings
from controlplane.config.urls import check_endpoint_url
from servicekit.address import Address, AddressSetting
from servicekit.redis_client import RedisUrl
from servicekit.settings import ApiKeySettings


def _check_ip(text: str) -> str:
    ipaddress.ip_address(text)
    return text


def _check_target(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.port is None or parts.path.strip("/") or parts.query:
        raise ValueError("it is http://HOST:PORT, without a path")
    return url


class ControlPlaneSettings(AdminSettings, ApiKeySettings):
    """The process settings of the control plane."""

    document: Path | None = None
    """The document to follow: a file, or a folder of files. Without it everything goes to ``backend_url``."""

    backend_url: Annotated[str, AfterValidator(check_endpoint_url)] = "http://127.0.0.1:8048"
    """Where requests go when there is no document."""

    listen_address: Annotated[str, AfterValidator(_check_ip)] = "127.0.0.1"
    """The IP address that a listener binds whose document names none. ``0.0.0.0`` is every one of the machine."""

    port: int = Field(default=8000, ge=1, le=65535)
    """The port that clients connect to when there is no document."""

    xds_bind: AddressSetting = Address(host="127.0.0.1", port=18000)
    """Where proxies and services fetch their configuration (xDS, gRPC)."""

    service_identities: tuple[str, ...] = ()
    """What the certificates of ext_authz and of the rate-limit service prove, as a JSON list; ``*`` as in the
    ``identities`` of a node group. With it nobody else gets the policies, which hold the hashes of API keys; without
    it everybody does who can connect."""

    discovery_dir: Path | None = None
    """Folder with the lists of endpoints that ``discover: {file: NAME}`` in a document may name. Without it none can
    be named."""

    state_dir: Path | None = None
    """Folder for the last good lists of endpoints, which a restart begins with while the lists are away. Without it
    nothing is kept."""

    metrics_targets: tuple[str, ...] = ()
    """URLs of the other processes' metrics, merged into this process's own, as a JSON list."""

    auth_targets: tuple[Annotated[str, AfterValidator(_check_target)], ...] = ()
    """The ext_authz services that `gateway auth keys` asks, as a JSON list of URLs: ``["http://ext-authz:18011"]``. A
    name with several addresses is as many services."""

    csds_readers: tuple[str, ...] = ()
    """Names (subject alternative names) of client certificates that may read what every node has over xDS's own status
    service (CSDS), as a JSON list. Without TLS whoever reaches ``xds_bind`` on this machine may, and nobody else."""

    load_report_seconds: float = Field(default=5.0, ge=0.2, le=300)
    """Longest time between two load reports of a node while a canary is watched. Without one there are no reports."""

    store_url: SecretStr | None = None
    """Database of the history: ``sqlite:////path/history.db`` or ``postgresql://…``. Without it no history is kept."""

    store_revisions: int = Field(default=1000, ge=1)
    """Revisions that the history keeps."""

    redis_url: RedisUrl | None = None
    """Redis or Valkey that holds the revocations and the latest purges, the same as that of ext_authz and of the
    response cache. Without it none can be made."""

    envoy_path: Path | None = None
    """The Envoy binary that sees every snapshot before it goes live; without it the one of the ``embedded`` extra, if
    that is there."""
