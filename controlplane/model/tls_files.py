"""Files of TLS."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """Paths on Envoy's machine."""

    certificate: str
    key: str
