"""Listeners: where clients connect, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from controlplane.model.address_rules import AddressRules
from controlplane.model.tls_files import CertificateFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificates:
    """Certificates that clients show."""

    ca: str
    """Path on Envoy's machine."""
    required: bool
    forward: bool
    """Whether upstreams are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerTls:
    """TLS with clients."""

    certificates: tuple[CertificateFiles, ...]
    """Never empty; the first is for clients that name no host of the others."""
    min_version: Literal["1.2", "1.3"] = "1.2"
    alpn: tuple[str, ...] = ("h2", "http/1.1")
    client_certificates: ClientCertificates | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpsRedirect:
    """Where clients in the clear are sent."""

    port: int = 443
    status: Literal[301, 308] = 308


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRules:
    """What requests may look like."""

    max_headers: int = 100
    max_header_size: int = 60 * 1024
    """Bytes of all together."""
    underscores: Literal["drop", "reject"] = "drop"
    escaped_slashes: Literal["reject", "redirect", "keep"] = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveConcurrency:
    """Requests at a time, by how long answers take."""

    latency: float
    """Seconds."""
    tolerance: float
    min: int
    max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyProtocol:
    """Who the client is, said by balancers before everything else."""

    balancers: tuple[str, ...]
    """Ranges in CIDR notation; nobody else may connect."""
    versions: tuple[Literal["v1", "v2"], ...] = ("v1", "v2")
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpRoute:
    """Where connections go whose bytes are passed on."""

    sni: tuple[str, ...]
    """Names that clients of TLS ask for; empty is every other connection."""
    upstream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A port that clients connect to."""

    name: str
    address: str
    """IP address to bind."""
    port: int
    tls: ListenerTls | None = None
    http: HttpRules = HttpRules()
    trusted_proxies: int = 0
    """How many entries at the end of ``x-forwarded-for`` proxies of ours have made."""
    proxy_protocol: ProxyProtocol | None = None
    addresses: AddressRules | None = None
    """Peers whose connections are taken."""
    redirect_to_https: HttpsRedirect | None = None
    adaptive_concurrency: AdaptiveConcurrency | None = None
    tcp: tuple[TcpRoute, ...] = ()
    """Without any, it speaks HTTP and serves routes."""
