"""A private authority and a certificate of it, for mutual TLS between the parts of one gateway."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.errors import CommandError
from servicekit.tls import AUTHORITY, CERTIFICATE, PRIVATE_KEY

_SKEW = timedelta(minutes=5)
"""Machines whose clocks are a little behind take a fresh certificate all the same."""


def write_certificates(folder: Path, *, hosts: Sequence[str], days: int, now: datetime | None = None) -> None:
    """Write ``ca.crt``, ``tls.crt`` and ``tls.key`` (mode 0600) into ``folder``, which is made where it is missing.

    The authority signs this one certificate and its key is then forgotten: nobody can make another.

    Args:
        folder: where to.
        hosts: DNS names and IP addresses under which the parts reach each other.
        days: validity.
        now: the beginning of the validity; the present without it.

    Raises:
        CommandError: one of the files is there already, or the folder can't be written.
    """
    write_parts({folder: hosts}, days=days, now=now)


def write_parts(parts: Mapping[Path, Sequence[str]], *, days: int, now: datetime | None = None) -> None:
    """As :func:`write_certificates` for several folders: each gets a certificate of its own from one authority.

    What each part proves to the others is then its own names; nobody can make another certificate later.

    Args:
        parts: DNS names and IP addresses of each part, by its folder.
        days: validity.
        now: the beginning of the validity; the present without it.

    Raises:
        CommandError: one of the files is there already, or a folder can't be written.
    """
    begin = now or datetime.now(UTC)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    authority = _authority(ca_key, begin, days)
    for folder, hosts in parts.items():
        key = ec.generate_private_key(ec.SECP256R1())
        _write_files(folder, key=key, leaf=_leaf(key, hosts, authority, ca_key, begin, days), authority=authority)


def _write_files(
    folder: Path, *, key: ec.EllipticCurvePrivateKey, leaf: x509.Certificate, authority: x509.Certificate
) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(folder / PRIVATE_KEY, _pem(key), mode=0o600)
        _write(folder / CERTIFICATE, leaf.public_bytes(serialization.Encoding.PEM), mode=0o644)
        _write(folder / AUTHORITY, authority.public_bytes(serialization.Encoding.PEM), mode=0o644)
    except FileExistsError as error:
        raise CommandError(f"{error.filename} is there already: remove it, or name another folder") from error
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from error


def keep_certificates(folder: Path, *, hosts: Sequence[str], now: datetime | None = None) -> bool:
    """Whether certificates are there already and cover ``hosts``; ``False`` when there is none of them.

    Raises:
        CommandError: there are some, but they have expired, are for other hosts, or can't be read.
    """
    present = [name for name in (PRIVATE_KEY, CERTIFICATE, AUTHORITY) if (folder / name).exists()]
    if not present:
        return False
    if len(present) < 3:
        raise CommandError(
            f"{folder} has {' and '.join(present)} and not the rest: remove them, or name another folder"
        )
    leaf = _read(folder / CERTIFICATE)
    if leaf.not_valid_after_utc <= (now or datetime.now(UTC)):
        raise CommandError(f"{folder / CERTIFICATE} has expired: remove the three files to have new ones made")
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    missing = [host for host in hosts if _general_name(host) not in names]
    if missing:
        raise CommandError(
            f"{folder / CERTIFICATE} is not for {', '.join(missing)}: remove the three files to have new ones made"
        )
    return True


def _read(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(f"{path} is not a certificate") from error


def _authority(key: ec.EllipticCurvePrivateKey, begin: datetime, days: int) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway private authority")])
    builder = _builder(name, name, key.public_key(), begin, days)
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    key: ec.EllipticCurvePrivateKey,
    hosts: Sequence[str],
    authority: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    begin: datetime,
    days: int,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    # Every part is a server to some and a client of others.
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return (
        _builder(name, authority.subject, key.public_key(), begin, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(both, critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begin: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - _SKEW)
        .not_valid_after(begin + timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError:
        raise CommandError(f"{host!r} is neither a DNS name in ASCII nor an IP address") from None


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, data: bytes, *, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
