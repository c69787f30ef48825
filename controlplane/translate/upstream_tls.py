"""TLS to an upstream: SNI, and a certificate that the machine's authorities vouch for."""

from __future__ import annotations

import ipaddress

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import CertificateValidationContext, SubjectAltNameMatcher
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, UpstreamTlsContext
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from controlplane import model
from controlplane.translate.wellknown import packed
from servicekit.contracts.data_plane import SYSTEM_CA_SECRET

_TLS = "envoy.transport_sockets.tls"


def transport_socket(upstream: model.Upstream) -> TransportSocket:
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
