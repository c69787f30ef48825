"""The gateways that a user knows by name: a file that only they can read."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError

from gateway.errors import CommandError
from servicekit.private_file import replacing

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
LARGEST = 1024 * 1024
"""Bytes of the whole file."""

_OTHERS = 0o077


class Context(BaseModel):
    """How to reach one gateway."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    """Where its admin API is."""
    token: SecretStr | None = None
    """Its token itself."""
    token_from: Annotated[str, StringConstraints(pattern=r"^(env|file):.+$")] | None = None
    """Or where it is: ``env:NAME`` or ``file:PATH``."""
    ca: Path | None = None
    """Authorities to trust, in place of the machine's."""
    client_certificate: Path | None = None
    client_key: Path | None = None
    insecure_network: bool = False
    """Whether a token may leave the machine without TLS."""


class Contexts(BaseModel):
    """What is in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    current: str | None = None
    """The one that is meant when none is named."""
    contexts: Mapping[Annotated[str, StringConstraints(pattern=f"^{NAME.pattern}$")], Context] = Field(
        default_factory=dict
    )

    def find(self, name: str) -> Context:
        """The context of that name.

        Raises:
            CommandError: there is none.
        """
        if name not in self.contexts:
            known = f"there are {', '.join(sorted(self.contexts))}" if self.contexts else "there are none yet"
            raise CommandError(f"there is no context {name!r}: {known}")
        return self.contexts[name]


def context_path() -> Path:
    """Where the file is: in ``$XDG_CONFIG_HOME``, or ``~/.config`` (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    folder = Path(base) if base.startswith("/") else Path("~/.config").expanduser()
    return folder / "gateway" / "contexts.json"


def read_contexts(path: Path) -> Contexts:
    """What the file says; nothing when it is not there.

    Raises:
        CommandError: others can read it, it cannot be read, or is not what this program writes.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(LARGEST + 1)
    except FileNotFoundError:
        return Contexts()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    if mode & _OTHERS:
        raise CommandError(f"{path}: others can read or write this file, and it may hold tokens: chmod 600 it")
    return parse_contexts(text, path)


def parse_contexts(text: bytes, path: Path) -> Contexts:
    """What the text of the file at ``path`` says.

    Raises:
        CommandError: it is not what this program writes. The text holds nothing of the file's values.
    """
    if len(text) > LARGEST:
        raise CommandError(f"{path}: this file has more than {LARGEST} bytes")
    try:
        found = Contexts.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        # A message of pydantic's for JSON and types names kinds and places, never the value.
        raise CommandError(f"{path}: {where + ': ' if where else ''}{first['msg']}") from None
    if found.current is not None:
        found.find(found.current)
    return found


def write_contexts(path: Path, contexts: Contexts) -> None:
    """Put the file in place of the old one, readable by its user only.

    Raises:
        CommandError: that is not possible.
    """
    text = _with_tokens(contexts).encode()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(text)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error


def _with_tokens(contexts: Contexts) -> str:
    import json

    plain = contexts.model_dump(mode="json", exclude_none=True)
    for name, context in contexts.contexts.items():
        if context.token is not None:
            plain["contexts"][name]["token"] = context.token.get_secret_value()
    return json.dumps(plain, indent=2) + "\n"
