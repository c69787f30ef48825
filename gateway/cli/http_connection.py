"""How one admin API is reached: over TCP, TLS or a Unix socket, and what is said when it is not."""

from __future__ import annotations

import ssl

import httpx

from gateway.cli.output import plain
from gateway.cli.target import UNIX, Target, stays_on_machine
from gateway.errors import CommandError


def open_http(target: Target, *, prefix: str, accept: str, transport: httpx.BaseTransport | None) -> httpx.Client:
    """An HTTP client that knows the token. It follows no redirect: the token would go where an answer says.

    Args:
        target: where it is, and the token.
        prefix: of every path.
        accept: the media type that is wanted when a request says nothing else.
        transport: what carries the requests, in place of the network.

    Raises:
        CommandError: its certificates cannot be read.
    """
    token = target.token.get_secret_value()
    over_socket = target.url.startswith(UNIX)
    if over_socket and transport is None:
        transport = httpx.HTTPTransport(uds=target.url.removeprefix(UNIX))
    return httpx.Client(
        base_url=("http://localhost" if over_socket else target.url.rstrip("/")) + prefix,
        headers={"accept": accept, **({"authorization": f"Bearer {token}"} if token else {})},
        verify=_tls(target),
        trust_env=not stays_on_machine(target.url),  # a proxy would get what stays on this machine
        transport=transport,
    )


def trouble(error: Exception) -> str:
    """What a failed request came to, for a sentence that begins with the server."""
    if isinstance(error, httpx.TimeoutException):
        return "does not answer: it takes too long"
    if isinstance(error, httpx.RemoteProtocolError):
        return f"broke off: {plain(error)}"
    return f"does not answer: {plain(error)}"


def _tls(target: Target) -> ssl.SSLContext | bool:
    if not target.url.startswith("https://"):
        return False
    try:
        context = ssl.create_default_context(cafile=target.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if target.client_certificate is not None:
            # A password prompt would stop a script for ever.
            context.load_cert_chain(target.client_certificate, target.client_key, password=lambda: "")
    except OSError as error:  # ssl.SSLError is one
        raise CommandError(f"the certificates for {plain(target.url)}: {plain(error)}") from error
    return context
