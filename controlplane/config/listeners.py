"""``listeners``: where clients connect."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field, model_validator

from controlplane.config.adaptive_concurrency import AdaptiveConcurrency
from controlplane.config.address_rules import Addresses
from controlplane.config.base import Section, mistake
from controlplane.config.listener_http import Http
from controlplane.config.listener_tls import Tls, WrittenRedirect
from controlplane.config.proxy_protocol import ProxyProtocol
from controlplane.config.tcp import Tcp
from controlplane.config.texts import IpAddress, Name

_OF_HTTP: Final = ("tls", "http", "trusted_proxies", "adaptive_concurrency", "redirect_to_https")


class Listener(Section):
    """A port that clients connect to. Every route that a node serves, it serves on each of its listeners, but for
    those with `tcp`."""

    name: Name
    """Its name in logs and metrics."""
    port: int = Field(ge=1, le=65535)
    """TCP port."""
    address: IpAddress | None = None
    """IP address to bind; without it, the process setting `GATEWAY_LISTEN_ADDRESS` decides (loopback unless told
    otherwise)."""
    tls: Tls | None = None
    """Speak HTTPS; without it, HTTP in the clear."""
    http: Http = Http()
    """What requests may look like."""
    trusted_proxies: int = Field(default=0, ge=0, le=10)
    """How many proxies stand before it, each of which adds the address of whom it hears to `x-forwarded-for`. With 0
    the client is whoever connects, and the header is ignored. With more, nobody else may be able to connect."""
    proxy_protocol: ProxyProtocol | None = None
    """Hear who the client is from a balancer that speaks the PROXY protocol; without it, it is not understood."""
    addresses: Addresses | None = None
    """From which addresses connections are taken; others are closed before a byte is read. Behind a proxy that is the
    proxy: this is how nobody else gets in beside `trusted_proxies`."""
    adaptive_concurrency: AdaptiveConcurrency | None = None
    """How many requests may be under way at a time, by how fast they are answered; without it, as many as come."""
    redirect_to_https: WrittenRedirect = None
    """Send clients to HTTPS instead of serving them, except what proves to a certificate authority whose name this is
    (`/.well-known/acme-challenge/`) and `/health`."""

    tcp: Tcp | None = None
    """Pass the bytes of each connection on to an upstream as they are, in place of HTTP: no route, no limit and no
    authentication sees them. `[{sni: [a.example.com], upstream: a}]` goes by the name that a client of TLS asks for,
    and decrypts nothing."""

    @model_validator(mode="after")
    def _bytes_or_http(self) -> Self:
        for key in _OF_HTTP:
            if self.tcp is not None and key in self.model_fields_set:
                raise mistake("tcp", f"{key} is about HTTP, and this listener passes bytes on as they are")
        return self

    @model_validator(mode="after")
    def _in_the_clear(self) -> Self:
        if self.tls is not None and self.redirect_to_https is not None:
            raise mistake("redirect-to-https", "this listener has tls: who is here speaks HTTPS already")
        return self
