"""Certificates, keys and authorities of TLS, with clients and with upstreams. They are files of Envoy's machine: a
document has their paths and never what is in them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from controlplane.config.base import Section, mistake

_FILE = re.compile(r"(?:/[^/\x00-\x1f\x7f]+)+")


def _check_file(text: str) -> str:
    if not _FILE.fullmatch(text) or {".", ".."} & set(text.split("/")):
        raise mistake(
            "file", "this is not the path of a file", "from the root, without // and .., as in /etc/tls/a.crt"
        )
    return text


FilePath = Annotated[str, Field(max_length=1024), AfterValidator(_check_file)]
"""A file on the machine of Envoy."""


class Certificate(Section):
    """A certificate and its private key. Replaced files are taken up while everything runs, if they were renamed into
    place or are links that Kubernetes swaps; what was written over is not noticed."""

    certificate: FilePath
    """PEM: the certificate, and after it those between it and a known authority."""
    key: FilePath
    """PEM: its private key."""


def _from_number(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise mistake("type", "expected text", f'put it in quotes: "{value}"')
    return value


TlsVersion = Annotated[Literal["1.2", "1.3"], BeforeValidator(_from_number)]
"""Older ones are broken (RFC 8996)."""
