"""What a connection proves of the client at its other end, read from gRPC's properties of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

ALTERNATIVE_NAMES: Final = "x509_subject_alternative_name"
COMMON_NAME: Final = "x509_common_name"
SECURITY: Final = "transport_security_type"

Properties = Mapping[str, Iterable[bytes]]
"""``ServicerContext.auth_context()``."""


def identities(properties: Properties) -> frozenset[str]:
    """The subject alternative names of a client certificate that was verified; its common name only without any.

    RFC 6125 §6.4.4. Empty when the client showed none.
    """
    names = properties.get(ALTERNATIVE_NAMES) or properties.get(COMMON_NAME) or ()
    return frozenset(name.decode(errors="replace") for name in names)


def is_private(peer: str, properties: Properties) -> bool:
    """Whether nobody else can read along: TLS, or a Unix socket. Loopback is neither."""
    return peer.startswith("unix:") or b"ssl" in properties.get(SECURITY, ())
