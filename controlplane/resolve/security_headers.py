"""Security headers: the preset, and what the document says instead."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from controlplane.config import GatewayConfig
from controlplane.config.security_headers import Hsts, SecurityHeaders
from controlplane.resolve.draft import Draft

STRICT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "strict-transport-security": "max-age=63072000; includeSubDomains",
        "content-security-policy": (
            "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
        ),
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }
)


def resolve_security_headers(document: GatewayConfig, draft: Draft) -> None:
    """Make them names and values."""
    written = document.security_headers
    headers: dict[str, str] = dict(STRICT) if written.preset == "strict" else {}
    for key, (name, value) in _values(written).items():
        if key in written.model_fields_set:
            headers[name] = value
    draft.security_headers = {name: value for name, value in headers.items() if value}


def _values(written: SecurityHeaders) -> Mapping[str, tuple[str, str]]:
    """Each key's header; an empty value is not sent."""
    return {
        "hsts": ("strict-transport-security", _hsts(written.hsts) if written.hsts else ""),
        "content_security_policy": ("content-security-policy", written.content_security_policy or ""),
        "frame_options": ("x-frame-options", (written.frame_options or "").upper()),
        "content_type_options": ("x-content-type-options", "nosniff" if written.content_type_options else ""),
        "referrer_policy": ("referrer-policy", written.referrer_policy or ""),
        "permissions_policy": ("permissions-policy", written.permissions_policy or ""),
    }


def _hsts(hsts: Hsts) -> str:
    parts = [f"max-age={round(hsts.max_age)}"]
    parts += ["includeSubDomains"] if hsts.include_subdomains else []
    parts += ["preload"] if hsts.preload else []
    return "; ".join(parts)
