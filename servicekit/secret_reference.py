"""Secrets by reference: documents and policies name them, and the service that uses one resolves it.

A reference is ``env:NAME`` or ``file:NAME``. Only what the operator opened can be named: environment variables that
begin with ``GATEWAY_SECRET_``, and files below one directory. Else whoever may write a document could have any file of
the machine sent to a place of theirs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from dotenv import dotenv_values

from servicekit.opened_folder import FILE_NAME, OpenedFolder, OpenedFolderError
from servicekit.settings import ENV_FILE

SECRET_PREFIX: Final = "GATEWAY_SECRET_"  # noqa: S105 -- how variables are called, no secret
MAX_SECRET_BYTES: Final = 64 * 1024
MAX_REFERENCE_LENGTH: Final = 260

_VARIABLE: Final = re.compile(rf"{SECRET_PREFIX}[A-Za-z0-9_]{{1,128}}")


class SecretReferenceError(Exception):
    """A reference that is none, or that leads to nothing. The text never holds a secret, nor what was no reference."""


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where a secret is."""

    kind: Literal["env", "file"]
    name: str
    """Of the variable, whole; or of the file, relative to the directory of secrets."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def parse_reference(text: str) -> SecretReference:
    """Read ``env:NAME`` or ``file:NAME``.

    Raises:
        SecretReferenceError: it is neither. What it is is not said: it may be a secret that somebody wrote here.
    """
    kind, _, name = text.partition(":")
    if len(text) <= MAX_REFERENCE_LENGTH:
        if kind == "env" and _VARIABLE.fullmatch(name):
            return SecretReference("env", name)
        if kind == "file" and FILE_NAME.fullmatch(name):
            return SecretReference("file", name)
    raise SecretReferenceError(
        f"not a reference to a secret: env:{SECRET_PREFIX}NAME, or file:NAME with a path below GATEWAY_SECRETS_DIR"
    )


class Secrets:
    """What the operator opened for one process."""

    def __init__(self, *, environment: Mapping[str, str], directory: Path | None) -> None:
        self._environment = environment
        self._folder = OpenedFolder(directory, setting="GATEWAY_SECRETS_DIR")

    def resolve(self, reference: str) -> bytes:
        """The secret that ``reference`` names: 1 to 65536 octets, as it is now (a file is read again each time).

        One line end after the only line of a text is left out: editors and ``echo`` write one, and nobody means it.

        Raises:
            SecretReferenceError: it names nothing that was opened, is empty, too large, or can't be read.
        """
        found = parse_reference(reference)
        value = self._variable(found) if found.kind == "env" else self._file(found)
        secret = _without_line_end(value)
        if not secret:
            raise SecretReferenceError(f"{found}: it is empty")
        if len(secret) > MAX_SECRET_BYTES:
            raise SecretReferenceError(f"{found}: more than {MAX_SECRET_BYTES} bytes")
        return secret

    def _variable(self, reference: SecretReference) -> bytes:
        value = self._environment.get(reference.name)
        if value is None:
            raise SecretReferenceError(f"{reference}: this process has no such environment variable")
        return os.fsencode(value)

    def _file(self, reference: SecretReference) -> bytes:
        try:
            # A few more than allowed: a line end, and one to tell that it is too large.
            return self._folder.read(reference.name, most=MAX_SECRET_BYTES + 3)
        except OpenedFolderError as error:
            raise SecretReferenceError(f"{reference}: {error}") from None


NO_SECRETS: Final = Secrets(environment={}, directory=None)
"""Where nothing was opened."""


def opened_secrets(directory: Path | None) -> Secrets:
    """What this process may know: its environment, ``.env`` below it, and the files in ``directory``."""
    written = dotenv_values(ENV_FILE, interpolate=False) if Path(ENV_FILE).is_file() else {}
    known = {name: value for name, value in written.items() if value is not None} | dict(os.environ)
    opened = {name: value for name, value in known.items() if name.startswith(SECRET_PREFIX)}
    return Secrets(environment=opened, directory=directory)


def _without_line_end(value: bytes) -> bytes:
    """Octets that are no text stay as they are: a random key may well end in the octet of a line end."""
    line = value.removesuffix(b"\n").removesuffix(b"\r")
    return line if line.isascii() and line.decode().isprintable() else value
