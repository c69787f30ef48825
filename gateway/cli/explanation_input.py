"""What an explanation starts from: a document or what is live, a token that stays here, headers and keys."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from controlplane.config import ConfigError, load_document
from controlplane.model import Gateway
from controlplane.resolve import resolve
from ext_authz.keys import MAX_SET_BYTES
from gateway.cli.admin_client import YAML, admin_client
from gateway.cli.document_file import read_document
from gateway.cli.output import plain
from gateway.errors import CommandError

_ANY_ADDRESS: Final = "127.0.0.1"
"""Stands for the process setting, which decides nothing about routes."""
_LONGEST_TOKEN: Final = 256 * 1024
"""Characters; far more than is ever accepted."""


def written_gateway(name: str) -> Gateway:
    """What the document of that name means.

    Raises:
        CommandError: it cannot be read, or has mistakes.
    """
    document = read_document(name)
    return _resolved(document.text, document.name)


def live_gateway(context: str | None) -> tuple[Gateway, list[dict[str, Any]]]:
    """What the live document means, and what every ext_authz says of its keys.

    Raises:
        CommandError: the admin API does not tell.
    """
    with admin_client(context) as client:
        text = client.text("/document", accept=YAML)
        services = client.get("/auth/keys")
    if not isinstance(services, list):
        raise CommandError("this is no answer that is known here: the gateway may be of another version")
    return _resolved(text.encode(), "the live document"), services


def _resolved(text: bytes, name: str) -> Gateway:
    try:
        return resolve(load_document(text, origin=name), listen_address=_ANY_ADDRESS)
    except ConfigError as error:
        first = error.problems[0]
        raise CommandError(plain(f"{name} has mistakes ({first.message}): gateway validate names them all")) from None


def read_token(text: str | None, file: Path | None, *, from_stdin: bool) -> str | None:
    """The token, without the line break at its end.

    Raises:
        CommandError: it is given twice, or the file cannot be read.
    """
    if sum((text is not None, file is not None, from_stdin)) > 1:
        raise CommandError("one token: --token, --token-file or --token-stdin")
    if file is not None:
        text = _read(file, _LONGEST_TOKEN)
    elif from_stdin:
        text = sys.stdin.read(_LONGEST_TOKEN)
    return None if text is None else text.strip()


def read_headers(written: Iterable[str]) -> dict[str, str]:
    """Headers by name in lower case; several of one name joined by commas, as Envoy joins them.

    Raises:
        CommandError: one has no colon.
    """
    headers: dict[str, str] = {}
    for one in written:
        name, colon, value = one.partition(":")
        if not colon or not name.strip():
            raise CommandError("write a header as NAME:VALUE")
        key, text = name.strip().lower(), value.strip()
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return headers


def read_key_sets(written: Iterable[str]) -> dict[str, str]:
    """JWK Sets by provider; the one without a name is everybody's.

    Raises:
        CommandError: a file cannot be read.
    """
    key_sets: dict[str, str] = {}
    for one in written:
        provider, equals, file = one.partition("=")
        if not equals or "/" in provider:
            provider, file = "", one
        key_sets[provider] = _read(Path(file), MAX_SET_BYTES + 1)
    return key_sets


def _read(file: Path, most: int) -> str:
    try:
        with file.open(encoding="utf-8") as text:
            return text.read(most)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise CommandError(f"{file} cannot be read: {reason}") from None
