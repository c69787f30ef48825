"""Secrets of TLS, with clients and with upstreams: each says where files lie, and is asked for by its name."""

from __future__ import annotations

import posixpath
from typing import Final

from envoy.config.core.v3.base_pb2 import DataSource, WatchedDirectory
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    TlsCertificate,
    TlsParameters,
)
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig, Secret

from controlplane import model
from controlplane.translate.config_source import ads

_VERSIONS: Final = {"1.2": TlsParameters.TLSv1_2, "1.3": TlsParameters.TLSv1_3}


def certificate_secret(name: str, files: model.CertificateFiles) -> Secret:
    """A certificate and its key. Paths only: Envoy reads the files itself, and again when they are replaced."""
    certificate = TlsCertificate(
        certificate_chain=DataSource(filename=files.certificate), private_key=DataSource(filename=files.key)
    )
    if posixpath.dirname(files.certificate) == posixpath.dirname(files.key):
        # Kubernetes swaps a link beside the files. Without a directory Envoy looks at each file by itself.
        certificate.watched_directory.CopyFrom(_directory(files.key))
    return Secret(name=name, tls_certificate=certificate)


def authorities_secret(name: str, ca: str) -> Secret:
    """Who vouches for the other side."""
    context = CertificateValidationContext(trusted_ca=DataSource(filename=ca), watched_directory=_directory(ca))
    return Secret(name=name, validation_context=context)


def by_ads(name: str) -> SdsSecretConfig:
    """How a socket asks for a secret of this snapshot."""
    return SdsSecretConfig(name=name, sds_config=ads())


def versions(oldest: str) -> TlsParameters:
    """From ``oldest`` to 1.3."""
    return TlsParameters(
        tls_minimum_protocol_version=_VERSIONS[oldest], tls_maximum_protocol_version=TlsParameters.TLSv1_3
    )


def _directory(path: str) -> WatchedDirectory:
    return WatchedDirectory(path=posixpath.dirname(path))
