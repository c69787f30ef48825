"""``tls`` of an upstream: whom the gateway believes, and how it proves itself."""

from __future__ import annotations

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError

from controlplane.config.base import Section, mistake
from controlplane.config.texts import Host, Unique
from controlplane.config.tls_files import Certificate, FilePath, TlsVersion


def _check_name(host: Host) -> Host:
    name = host.rstrip(".")
    if "*" in name or name.rsplit(".", 1)[-1].isdigit():
        raise mistake("host", "this is not the name of one host", "as in shop.internal")
    return host


ServerName = Annotated[Host, AfterValidator(_check_name), AfterValidator(str.lower)]
"""What a client asks for (SNI, RFC 6066 §3): the name of one host, never an address."""


class _Named(Section):
    name: ServerName


def _check_identity(text: str) -> str:
    """A URI, an IP address, or the name of a host: what stands in a certificate as a subject's alternative name."""
    try:
        if "://" in text:
            url = urlsplit(text)
            if url.scheme and url.netloc and text.isascii() and text.isprintable() and " " not in text:
                return text
        elif _is_ip(text):
            return str(ipaddress.ip_address(text))
        else:
            return _Named(name=text).name
    except (ValueError, ValidationError):
        pass
    hint = "the name of a host, an IP address, or a URI such as spiffe://example.org/shop"
    raise mistake("certificate-name", "no certificate is issued to this", hint)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


Identity = Annotated[str, Field(max_length=1024), AfterValidator(_check_identity)]


class UpstreamTls(Section):
    """TLS with the endpoints of an upstream; for those with `https://`."""

    ca: FilePath | None = None
    """PEM: the authorities that vouch for the endpoints; without it, those of Envoy's machine. A new file is taken up
    as new certificates are."""
    client_certificate: Certificate | None = None
    """What the gateway shows when it is asked for a certificate (mutual TLS)."""
    sni: ServerName | None = None
    """The name that is asked for, and that certificates have to be for unless `names` says otherwise; without it, each
    endpoint's own."""
    names: Annotated[list[Identity], Unique] | None = Field(default=None, min_length=1, max_length=100)
    """Who the endpoints may be: a certificate has to be for one of these hosts, IP addresses or URIs."""
    min_version: TlsVersion = "1.2"
    """The oldest version that endpoints may speak."""
