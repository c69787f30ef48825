"""Mutual TLS of Envoy's own links: what it shows, whom it trusts, and how it hears that the files have changed."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

import envoy_data_plane.envoy.config.core.v3 as core_v3
import envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 as tls_v3
import envoy_data_plane.envoy.service.discovery.v3 as discovery_v3
import envoy_data_plane.envoy.type.matcher.v3 as matcher_v3
import yaml
from betterproto2 import Casing
from envoy_data_plane.google.protobuf import Any

from servicekit.contracts.data_plane import RESERVED_PREFIX
from servicekit.tls import AUTHORITY, CERTIFICATE, PRIVATE_KEY

_CERTIFICATE_SECRET = f"{RESERVED_PREFIX}certificate"
_AUTHORITY_SECRET = f"{RESERVED_PREFIX}authority"


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """Two files of one secret each, from which Envoy takes the TLS files and learns where to watch for new ones.

    Files that a bootstrap names itself are read once; those of a secret are read again when something is moved into
    their folder, as Kubernetes does with the link to a new version of a secret.
    """

    certificate: Path
    authority: Path

    @classmethod
    def beside(cls, bootstrap: Path) -> SecretFiles:
        """In the folder of the bootstrap, with names that begin like its own."""
        place = bootstrap.absolute()
        return cls(
            place.with_name(f"{place.stem}-certificate.yaml"),
            place.with_name(f"{place.stem}-authority.yaml"),
        )

    def write(self, folder: Path) -> None:
        """Write both for the TLS files of ``folder``.

        Raises:
            OSError: they can't be written.
        """
        watched = core_v3.WatchedDirectory(path=str(folder.absolute()))
        certificate = tls_v3.TlsCertificate(
            certificate_chain=_file(folder / CERTIFICATE),
            private_key=_file(folder / PRIVATE_KEY),
            watched_directory=watched,
        )
        trusted = tls_v3.CertificateValidationContext(trusted_ca=_file(folder / AUTHORITY), watched_directory=watched)
        _write(self.certificate, tls_v3.Secret(name=_CERTIFICATE_SECRET, tls_certificate=certificate))
        _write(self.authority, tls_v3.Secret(name=_AUTHORITY_SECRET, validation_context=trusted))


def mutual_tls(folder: Path, host: str, secrets: SecretFiles | None) -> core_v3.TransportSocket:
    """Show our certificate, and accept only one that our authority made for ``host``.

    Args:
        folder: the TLS files.
        host: what the other side is called.
        secrets: where Envoy takes the files from; ``None`` lets it read them once, at its start.
    """
    common = tls_v3.CommonTlsContext(alpn_protocols=["h2"])
    accepted = tls_v3.CertificateValidationContext(match_typed_subject_alt_names=[_name(host)])
    if secrets is None:
        common.tls_certificates = [
            tls_v3.TlsCertificate(
                certificate_chain=_file(folder / CERTIFICATE), private_key=_file(folder / PRIVATE_KEY)
            )
        ]
        accepted.trusted_ca = _file(folder / AUTHORITY)
        common.validation_context = accepted
    else:
        common.tls_certificate_sds_secret_configs = [_from(secrets.certificate, _CERTIFICATE_SECRET)]
        common.combined_validation_context = tls_v3.CommonTlsContextCombinedCertificateValidationContext(
            default_validation_context=accepted,
            validation_context_sds_secret_config=_from(secrets.authority, _AUTHORITY_SECRET),
        )
    context = tls_v3.UpstreamTlsContext(sni="" if is_ip(host) else host, common_tls_context=common)
    return core_v3.TransportSocket(name="envoy.transport_sockets.tls", typed_config=Any.pack(context))


def is_ip(host: str) -> bool:
    """Whether this is an address and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _name(host: str) -> tls_v3.SubjectAltNameMatcher:
    kinds = tls_v3.SubjectAltNameMatcherSanType
    return tls_v3.SubjectAltNameMatcher(
        san_type=kinds.IP_ADDRESS if is_ip(host) else kinds.DNS, matcher=matcher_v3.StringMatcher(exact=host)
    )


def _from(file: Path, name: str) -> tls_v3.SdsSecretConfig:
    source = core_v3.ConfigSource(
        path_config_source=core_v3.PathConfigSource(path=str(file)), resource_api_version=core_v3.ApiVersion.V3
    )
    return tls_v3.SdsSecretConfig(name=name, sds_config=source)


def _file(path: Path) -> core_v3.DataSource:
    return core_v3.DataSource(filename=str(path.absolute()))


def _write(path: Path, secret: tls_v3.Secret) -> None:
    response = discovery_v3.DiscoveryResponse(resources=[Any.pack(secret)])
    path.write_text(yaml.safe_dump(response.to_dict(casing=Casing.SNAKE), sort_keys=False, width=120))
