"""What comes before HTTP to an upstream: the PROXY protocol, and TLS with names that authorities vouch for."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.core.v3.proxy_protocol_pb2 import ProxyProtocolConfig
from envoy.extensions.transport_sockets.proxy_protocol.v3.upstream_proxy_protocol_pb2 import (
    ProxyProtocolUpstreamTransport,
)
from envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2 import RawBuffer
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import CertificateValidationContext, SubjectAltNameMatcher
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig, Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, UpstreamTlsContext
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from controlplane import model
from controlplane.translate import names
from controlplane.translate.tls_secrets import authorities_secret, by_ads, certificate_secret, versions
from controlplane.translate.wellknown import packed
from servicekit.contracts.data_plane import SYSTEM_CA_SECRET

_TLS = "envoy.transport_sockets.tls"
_RAW = "envoy.transport_sockets.raw_buffer"
_PROXY_PROTOCOL = "envoy.transport_sockets.upstream_proxy_protocol"


def transport_socket(upstream: model.Upstream) -> TransportSocket:
    """In the clear or by TLS, and before either the client's address where it is asked for."""
    inner = (
        _tls(upstream, upstream.tls) if upstream.tls else TransportSocket(name=_RAW, typed_config=packed(RawBuffer()))
    )
    if upstream.proxy_protocol is None:
        return inner
    version = ProxyProtocolConfig.V1 if upstream.proxy_protocol == "v1" else ProxyProtocolConfig.V2
    outer = ProxyProtocolUpstreamTransport(config=ProxyProtocolConfig(version=version), transport_socket=inner)
    return TransportSocket(name=_PROXY_PROTOCOL, typed_config=packed(outer))


def secrets(upstream: model.Upstream) -> Iterator[Secret]:
    """What the socket asks for and no bootstrap brings."""
    if upstream.tls is None:
        return
    if upstream.tls.ca is not None:
        yield authorities_secret(names.upstream_authorities(upstream.name), upstream.tls.ca)
    if upstream.tls.client_certificate is not None:
        yield certificate_secret(names.client_certificate(upstream.name), upstream.tls.client_certificate)


def _tls(upstream: model.Upstream, tls: model.UpstreamTls) -> TransportSocket:
    """Each endpoint has to show a certificate for its own host, or for one of the names that it may have."""
    expected = tls.names or ((tls.sni,) if tls.sni else _addresses(upstream))
    context = UpstreamTlsContext(
        sni=tls.sni or "",
        # An endpoint's own name; an IP address has no SNI (RFC 6066 §3).
        auto_host_sni=tls.sni is None and not _addresses(upstream),
        auto_sni_san_validation=not expected,
        common_tls_context=CommonTlsContext(
            tls_params=versions(tls.min_version),
            alpn_protocols=["h2"] if upstream.http2 else ["http/1.1"],
            combined_validation_context=CommonTlsContext.CombinedCertificateValidationContext(
                default_validation_context=CertificateValidationContext(
                    match_typed_subject_alt_names=map(_matcher, expected)
                ),
                validation_context_sds_secret_config=_authorities(upstream.name, tls),
            ),
        ),
    )
    if tls.client_certificate is not None:
        shown = by_ads(names.client_certificate(upstream.name))
        context.common_tls_context.tls_certificate_sds_secret_configs.append(shown)
    return TransportSocket(name=_TLS, typed_config=packed(context))


def _authorities(upstream: str, tls: model.UpstreamTls) -> SdsSecretConfig:
    if tls.ca is not None:
        return by_ads(names.upstream_authorities(upstream))
    # Where the authorities of a machine lie is its own business: the bootstrap says it.
    return SdsSecretConfig(name=SYSTEM_CA_SECRET)


def _addresses(upstream: model.Upstream) -> tuple[str, ...]:
    return tuple(endpoint.host for endpoint in upstream.endpoints if _is_ip(endpoint.host))


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _matcher(name: str) -> SubjectAltNameMatcher:
    if "://" in name:
        return SubjectAltNameMatcher(san_type=SubjectAltNameMatcher.URI, matcher=StringMatcher(exact=name))
    if _is_ip(name):
        exact = StringMatcher(exact=str(ipaddress.ip_address(name)))
        return SubjectAltNameMatcher(san_type=SubjectAltNameMatcher.IP_ADDRESS, matcher=exact)
    return SubjectAltNameMatcher(san_type=SubjectAltNameMatcher.DNS, matcher=StringMatcher(exact=name))
