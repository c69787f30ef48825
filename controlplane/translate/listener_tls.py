"""TLS with clients: the socket of a listener, and the secrets that say where its files lie."""

from __future__ import annotations

from collections.abc import Iterator

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, DownstreamTlsContext

from controlplane import model
from controlplane.translate import names
from controlplane.translate.tls_secrets import authorities_secret, by_ads, certificate_secret, versions
from controlplane.translate.wellknown import packed, true

_TLS = "envoy.transport_sockets.tls"


def transport_socket(listener: str, tls: model.ListenerTls) -> TransportSocket:
    """Certificates come as secrets, and not inside the listener: a change of them then drains no connection."""
    common = CommonTlsContext(
        tls_params=versions(tls.min_version),
        alpn_protocols=tls.alpn,
        tls_certificate_sds_secret_configs=[
            by_ads(names.certificate(listener, position)) for position in range(len(tls.certificates))
        ],
    )
    context = DownstreamTlsContext(common_tls_context=common)
    if tls.client_certificates is not None:
        authorities = by_ads(names.client_authorities(listener))
        context.common_tls_context.validation_context_sds_secret_config.CopyFrom(authorities)
        if tls.client_certificates.required:
            context.require_client_certificate.CopyFrom(true())
    return TransportSocket(name=_TLS, typed_config=packed(context))


def secrets(listener: str, tls: model.ListenerTls) -> Iterator[Secret]:
    """What the socket asks for."""
    for position, files in enumerate(tls.certificates):
        yield certificate_secret(names.certificate(listener, position), files)
    if tls.client_certificates is not None:
        yield authorities_secret(names.client_authorities(listener), tls.client_certificates.ca)
