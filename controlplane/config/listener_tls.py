"""``tls`` and ``redirect_to_https`` of a listener."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from controlplane.config.base import Section, mistake
from controlplane.config.texts import Unique, distinct
from controlplane.config.tls_files import Certificate, FilePath, TlsVersion

_HTTPS_PORT: Final = 443


class ClientCertificates(Section):
    """Certificates that clients show."""

    ca: FilePath
    """PEM: the authorities that vouch for them. A certificate of nobody among them is refused, in the handshake."""
    required: bool = True
    """Whether a client without one is refused."""
    forward: bool = False
    """Tell upstreams of it in `x-forwarded-client-cert`: hash, subject, URI and DNS names. What clients send under
    that name never gets through."""


def _distinct(certificates: list[Certificate]) -> list[Certificate]:
    return distinct(certificates, key=lambda one: one.certificate, name=lambda one: one.certificate)


class Tls(Section):
    """TLS with clients."""

    certificates: Annotated[list[Certificate], AfterValidator(_distinct)] = Field(min_length=1, max_length=100)
    """Chosen by the name that a client asks for (SNI); who asks for another name, or for none, is shown the first."""
    min_version: TlsVersion = "1.2"
    """The oldest version that clients may speak."""
    client_certificates: ClientCertificates | None = None
    """What clients have to show; without it, they are not asked."""
    alpn: Annotated[list[Literal["h2", "http/1.1"]], Unique] = Field(default=["h2", "http/1.1"], min_length=1)
    """What is spoken over it, the preferred first; clients choose."""


class RedirectToHttps(Section):
    """Where clients are sent. `true` is all of its defaults."""

    port: int = Field(default=_HTTPS_PORT, ge=1, le=65535)
    """The port of HTTPS, as clients see it."""
    status: Literal[301, 308] = 308
    """308 keeps the method; 301 is for clients older than that."""


def _from_true(value: Any) -> Any:
    if isinstance(value, bool):
        return {} if value else None
    if value is not None and not isinstance(value, (dict, RedirectToHttps)):
        raise mistake("type", "expected true or a mapping", "write true")
    return value


WrittenRedirect = Annotated[
    RedirectToHttps | None, BeforeValidator(_from_true, json_schema_input_type=bool | RedirectToHttps)
]
