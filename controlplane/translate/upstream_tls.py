"""What comes before HTTP to an upstream: the PROXY protocol, and TLS with names that authorities vouch for."""

from __future__ import annotations

import ipaddress

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.core.v3.proxy_protocol_pb2 import ProxyProtocolConfig
from envoy.extensions.transport_sockets.proxy_protocol.v3.upstream_proxy_protocol_pb2 import (
    ProxyProtocolUpstreamTransport,
)
from envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2 import RawBuffer
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import CertificateValidationContext, SubjectAltNameMatcher
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, UpstreamTlsContext
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from controlplane import model
from controlplane.translate.wellknown import packed
from servicekit.contracts.data_plane import SYSTEM_CA_SECRET

_TLS = "envoy.transport_sockets.tls"
_RAW = "envoy.transport_sockets.raw_buffer"
_PROXY_PROTOCOL = "envoy.transport_sockets.upstream_proxy_protocol"


def transport_socket(upstream: model.Upstream) -> TransportSocket:
    """In the clear or by TLS, and before either the client's address where it is asked for."""
    inner = _tls(upstream) if upstream.tls else TransportSocket(name=_RAW, typed_config=packed(RawBuffer()))
    if upstream.proxy_protocol is None:
        return inner
    version = ProxyProtocolConfig.V1 if upstream.proxy_protocol == "v1" else ProxyProtocolConfig.V2
    outer = ProxyProtocolUpstreamTransport(config=ProxyProtocolConfig(version=version), transport_socket=inner)
    return TransportSocket(name=_PROXY_PROTOCOL, typed_config=packed(outer))


def _tls(upstream: model.Upstream) -> TransportSocket:
    """Each endpoint has to show a certificate for its own host name, or for one of the upstream's IP addresses."""
    expected = [_matcher(e.host) for e in upstream.endpoints if _is_ip(e.host)]
    context = UpstreamTlsContext(
        # Names are those of the endpoint connected to; an IP address has no SNI (RFC 6066 §3).
        auto_host_sni=not expected,
        auto_sni_san_validation=not expected,
        common_tls_context=CommonTlsContext(
            alpn_protocols=["h2"] if upstream.http2 else ["http/1.1"],
            combined_validation_context=CommonTlsContext.CombinedCertificateValidationContext(
                default_validation_context=CertificateValidationContext(match_typed_subject_alt_names=expected),
                # Where the authorities lie is the machine's business: the bootstrap says it.
                validation_context_sds_secret_config=SdsSecretConfig(name=SYSTEM_CA_SECRET),
            ),
        ),
    )
    return TransportSocket(name=_TLS, typed_config=packed(context))


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _matcher(address: str) -> SubjectAltNameMatcher:
    return SubjectAltNameMatcher(
        san_type=SubjectAltNameMatcher.IP_ADDRESS, matcher=StringMatcher(exact=str(ipaddress.ip_address(address)))
    )
