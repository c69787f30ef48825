"""Whom the client of a connection proves to be, told to the application with each request."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

CLIENT_NAMES = "gateway.client_names"
"""The key of the ASGI scope that holds the names in the client's certificate: those that TLS has verified, and only
those. No header can set it."""

_NAME_KINDS = frozenset({"DNS", "URI", "email", "IP Address"})


class ClientNamesProtocol(HttpToolsProtocol):
    """HTTP/1.1 that says in each request's scope whom the connection's client certificate names."""

    _names: tuple[str, ...] = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its parent has it
        """Remember the names; they hold as long as the connection does."""
        super().connection_made(transport)
        self._names = client_names(transport)

    def on_message_begin(self) -> None:
        """Put the names into the scope of the next request."""
        super().on_message_begin()
        cast("dict[str, object]", self.scope)[CLIENT_NAMES] = self._names


def client_names(transport: asyncio.BaseTransport) -> tuple[str, ...]:
    """The subject's alternative names in the certificate that TLS has verified; none without one."""
    verified: dict[str, Any] | None = transport.get_extra_info("peercert")
    names = (verified or {}).get("subjectAltName", ())
    return tuple(name for kind, name in names if kind in _NAME_KINDS)
