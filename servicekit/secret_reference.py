"""Secrets by reference: documents and policies name them, and the service that uses one resolves it.

A reference is ``env:NAME`` or ``file:NAME``. Only what the operator opened can be named: environment variables that
begin with ``GATEWAY_SECRET_``, and files below one directory. Else whoever may write a document could have any file of
the machine sent to a place of theirs.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from dotenv import dotenv_values

from servicekit.settings import ENV_FILE

SECRET_PREFIX: Final = "GATEWAY_SECRET_"  # noqa: S105 -- how variables are called, no secret
MAX_SECRET_BYTES: Final = 64 * 1024
MAX_REFERENCE_LENGTH: Final = 260

_VARIABLE: Final = re.compile(rf"{SECRET_PREFIX}[A-Za-z0-9_]{{1,128}}")
_FILE: Final = re.compile(r"(?!.*(?:^|/)(?:\.\.|\.(?:/|$)))[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")


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
        if kind == "file" and _FILE.fullmatch(name):
            return SecretReference("file", name)
    raise SecretReferenceError(
        f"not a reference to a secret: env:{SECRET_PREFIX}NAME, or file:NAME with a path below GATEWAY_SECRETS_DIR"
    )


class Secrets:
    """What the operator opened for one process."""

    def __init__(self, *, environment: Mapping[str, str], directory: Path | None) -> None:
        self._environment = environment
        self._directory = directory

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
        if self._directory is None:
            raise SecretReferenceError(f"{reference}: GATEWAY_SECRETS_DIR of this process is not set")
        try:
            folder = self._directory.resolve(strict=True)
            path = (folder / reference.name).resolve(strict=True)
            if not path.is_relative_to(folder):
                raise SecretReferenceError(f"{reference}: a link leads out of GATEWAY_SECRETS_DIR")
            return _read(path)
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
            why = (error.strerror or "") if isinstance(error, OSError) else ""
            raise SecretReferenceError(f"{reference}: {why or 'cannot be read'}") from None


NO_SECRETS: Final = Secrets(environment={}, directory=None)
"""Where nothing was opened."""


def opened_secrets(directory: Path | None) -> Secrets:
    """What this process may know: its environment, ``.env`` below it, and the files in ``directory``."""
    written = dotenv_values(ENV_FILE, interpolate=False) if Path(ENV_FILE).is_file() else {}
    known = {name: value for name, value in written.items() if value is not None} | dict(os.environ)
    opened = {name: value for name, value in known.items() if name.startswith(SECRET_PREFIX)}
    return Secrets(environment=opened, directory=directory)


def _read(path: Path) -> bytes:
    """The file's octets, a few more than allowed at most; only of a regular file, so that nothing hangs."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "not a file")
        # Not before: opening a folder's descriptor as a file fails and would leave it open.
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(MAX_SECRET_BYTES + 3)
    finally:
        os.close(handle)


def _without_line_end(value: bytes) -> bytes:
    """Octets that are no text stay as they are: a random key may well end in the octet of a line end."""
    line = value.removesuffix(b"\n").removesuffix(b"\r")
    return line if line.isascii() and line.decode().isprintable() else value
