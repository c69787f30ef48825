"""Header names that providers may use: those that mean nothing to HTTP or to Envoy."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from controlplane.config.base import mistake
from controlplane.config.texts import HeaderName

_HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
_CREDENTIALS = {"authorization", "cookie", "proxy-authenticate", "proxy-authorization"}
_MESSAGE = {"host", "content-length", "content-type", "content-encoding", "expect", "forwarded", "via", "x-request-id"}
_RESERVED = frozenset(_HOP_BY_HOP | _CREDENTIALS | _MESSAGE)  # hop by hop: RFC 9110 §7.6.1
_RESERVED_PREFIXES = ("x-envoy-", "x-forwarded-", "x-gateway-")


def check_reserved(header: str) -> str:
    """The header's name, in lower case.

    Raises:
        PydanticCustomError: it has a meaning of its own.
    """
    if header in _RESERVED or header.startswith(_RESERVED_PREFIXES):
        raise mistake("reserved-header", f"{header} has a meaning of its own", "take another, such as x-user-id")
    return header


OwnHeader = Annotated[HeaderName, AfterValidator(check_reserved)]
"""A request header that means nothing to HTTP or to Envoy."""
