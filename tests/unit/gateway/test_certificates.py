"""A private authority and a certificate of it."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner

from gateway.certificates import keep_certificates, write_certificates, write_parts
from gateway.cli.commands import build_app
from gateway.errors import CommandError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With fresh certificates."""
    write_certificates(tmp_path / "tls", hosts=["controlplane", "127.0.0.1"], days=30)
    return tmp_path / "tls"


def handshake(folder: Path, *, host: str, client_folder: Path | None) -> str:
    """Mutual TLS over a socket pair: the subject that the server sees."""
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.crt")
    server_context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    server_context.verify_mode = ssl.CERT_REQUIRED
    client_context = ssl.create_default_context(cafile=folder / "ca.crt")
    if client_folder is not None:
        client_context.load_cert_chain(client_folder / "tls.crt", client_folder / "tls.key")
    near, far = socket.socketpair()
    seen: list[str] = []

    def serve() -> None:
        try:
            with server_context.wrap_socket(far, server_side=True) as server:
                seen.append(str((server.getpeercert() or {})["subject"]))
                server.sendall(b"x")
        except OSError as error:
            seen.append(f"refused: {error}")
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client_context.wrap_socket(near, server_hostname=host) as client:
            client.recv(1)
    finally:
        near.close()
        thread.join(5)
    return seen[0]


@pytest.mark.parametrize("host", ["controlplane", "127.0.0.1"])
def test_each_part_is_server_and_client_to_the_others(folder: Path, host: str) -> None:
    """One certificate serves both ends, under a DNS name and an IP address."""
    assert "gateway" in handshake(folder, host=host, client_folder=folder)


def test_nobody_else_gets_in(folder: Path, tmp_path: Path) -> None:
    """Neither under another name nor with a certificate of another authority."""
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(folder, host="elsewhere", client_folder=folder)
    write_certificates(tmp_path / "other", hosts=["controlplane"], days=30)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(folder, host="controlplane", client_folder=tmp_path / "other")


def test_the_key_is_for_its_owner_alone(folder: Path) -> None:
    """And the folder that was made for it."""
    assert (folder / "tls.key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_is_there_is_kept_and_never_overwritten(folder: Path) -> None:
    """Containers that start again make no new certificate; a missing one is made."""
    assert keep_certificates(folder, hosts=["controlplane"])
    assert not keep_certificates(folder / "new", hosts=["controlplane"])
    with pytest.raises(CommandError, match="is there already"):
        write_certificates(folder, hosts=["controlplane"], days=30)


def test_certificates_that_do_not_fit_are_told_of(folder: Path) -> None:
    """Another host, one that has expired, half of the files."""
    with pytest.raises(CommandError, match="is not for ratelimit: remove"):
        keep_certificates(folder, hosts=["controlplane", "ratelimit"])
    with pytest.raises(CommandError, match="has expired"):
        keep_certificates(folder, hosts=[], now=datetime.now(UTC) + timedelta(days=31))
    (folder / "tls.key").unlink()
    with pytest.raises(CommandError, match=r"has tls\.crt and ca\.crt and not the rest"):
        keep_certificates(folder, hosts=[])


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(CommandError, match="neither a DNS name"):
        write_certificates(tmp_path / "tls", hosts=["bücher.example"], days=1)
    assert not (tmp_path / "tls").exists()


def names(folder: Path) -> list[str]:
    """What a certificate proves."""
    leaf = x509.load_pem_x509_certificate((folder / "tls.crt").read_bytes())
    return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)


def test_parts_have_certificates_of_their_own(tmp_path: Path) -> None:
    """They trust each other, and each proves its own names and no other's."""
    one, two = tmp_path / "one", tmp_path / "two"
    write_parts({one: ["controlplane"], two: ["edge.example.com"]}, days=30)
    assert (names(one), names(two)) == (["controlplane"], ["edge.example.com"])
    assert (one / "tls.key").read_bytes() != (two / "tls.key").read_bytes()
    assert "gateway" in handshake(one, host="controlplane", client_folder=two)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--part", "a=one.example", "--part", "b=two.example,127.0.0.1"], 0, "written"),
        (["--part", "a"], 2, "is not NAME=HOST"),
        (["--part", "../a=one.example"], 2, "is not NAME=HOST"),
        (["--part", "a=one.example,"], 2, "is not NAME=HOST"),
        (["--part", "a=one.example", "--host", "two.example"], 2, "name the hosts with --host"),
        ([], 2, "name the hosts with --host"),
    ],
)
def test_the_command_takes_hosts_or_parts(tmp_path: Path, arguments: list[str], status: int, said: str) -> None:
    """Either one certificate for all, or one for each; a name can't lead out of the folder."""
    words = ["certs", str(tmp_path / "tls"), *arguments]
    done = CliRunner().invoke(build_app(words), words)
    assert done.exit_code == status
    assert said in " ".join(done.output.split())


def test_a_part_cannot_be_added_later(tmp_path: Path) -> None:
    """The authority's key is gone; what is there stays as it is."""
    words = ["certs", str(tmp_path), "--part", "a=one.example"]
    assert CliRunner().invoke(build_app(words), words).exit_code == 0
    words += ["--part", "b=two.example"]
    done = CliRunner().invoke(build_app(words), words)
    assert isinstance(done.exception, CommandError)
    assert "can't be added" in str(done.exception)
    assert not (tmp_path / "b").exists()
