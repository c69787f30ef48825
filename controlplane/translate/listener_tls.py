"""TLS with clients: the socket of a listener, and the secrets that say where its files lie."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from envoy.config.core.v3.base_pb2 import DataSource, TransportSocket, WatchedDirectory
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    TlsCertificate,
    TlsParameters,
)
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig, Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, DownstreamTlsContext

from controlplane import model
from controlplane.translate import names
from controlplane.translate.config_source import ads
from controlplane.translate.wellknown import packed, true

_TLS = "envoy.transport_sockets.tls"
_VERSIONS = {"1.2": TlsParameters.TLSv1_2, "1.3": TlsParameters.TLSv1_3}


def transport_socket(listener: str, tls: model.ListenerTls) -> TransportSocket:
    """Certificates come as secrets, and not inside the listener: a change of them then drains no connection."""
    common = CommonTlsContext(
        tls_params=TlsParameters(
            tls_minimum_protocol_version=_VERSIONS[tls.min_version],
            tls_maximum_protocol_version=TlsParameters.TLSv1_3,
        ),
        alpn_protocols=tls.alpn,
        tls_certificate_sds_secret_configs=[
            _by_ads(names.certificate(listener, position)) for position in range(len(tls.certificates))
        ],
    )
    context = DownstreamTlsContext(common_tls_context=common)
    if tls.client_certificates is not None:
        authorities = _by_ads(names.client_authorities(listener))
        context.common_tls_context.validation_context_sds_secret_config.CopyFrom(authorities)
        if tls.client_certificates.required:
            context.require_client_certificate.CopyFrom(true())
    return TransportSocket(name=_TLS, typed_config=packed(context))


def secrets(listener: str, tls: model.ListenerTls) -> Iterator[Secret]:
    """What the socket asks for. Paths only: Envoy reads the files itself, and again when they are replaced."""
    for position, files in enumerate(tls.certificates):
        yield Secret(name=names.certificate(listener, position), tls_certificate=_certificate(files))
    if tls.client_certificates is not None:
        ca = tls.client_certificates.ca
        context = CertificateValidationContext(trusted_ca=DataSource(filename=ca), watched_directory=_directory(ca))
        yield Secret(name=names.client_authorities(listener), validation_context=context)


def _certificate(files: model.CertificateFiles) -> TlsCertificate:
    certificate = TlsCertificate(
        certificate_chain=DataSource(filename=files.certificate), private_key=DataSource(filename=files.key)
    )
    if posixpath.dirname(files.certificate) == posixpath.dirname(files.key):
        # Kubernetes swaps a link beside the files. Without a directory Envoy looks at each file by itself.
        certificate.watched_directory.CopyFrom(_directory(files.key))
    return certificate


def _directory(path: str) -> WatchedDirectory:
    return WatchedDirectory(path=posixpath.dirname(path))


def _by_ads(name: str) -> SdsSecretConfig:
    return SdsSecretConfig(name=name, sds_config=ads())
