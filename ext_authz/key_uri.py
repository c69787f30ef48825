"""From which URLs keys may be fetched: whoever can change what one answers can sign tokens."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_loopback(uri: str) -> bool:
    """Whether requests to ``uri`` never leave the machine."""
    host = urlsplit(uri).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def unsafe(uri: str, *, allow_insecure: bool) -> str | None:
    """Why no keys may come from ``uri``, or ``None``. Nothing of it is quoted."""
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not host:
        return "is not an http or https URL"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "has a user, a password or a fragment"
    if parts.scheme == "http" and not is_loopback(uri) and not allow_insecure:
        return "is http to another machine: whoever can change what it answers can sign tokens"
    return None
