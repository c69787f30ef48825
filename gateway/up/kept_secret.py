"""A secret that is made once and found again."""

from __future__ import annotations

import secrets
from pathlib import Path

from gateway.errors import CommandError
from servicekit.private_file import replacing
from servicekit.settings import SHORTEST_SECRET


def kept_secret(path: Path) -> str:
    """What is in the file, or a new secret that is in it from now on. Only its user can read it.

    Raises:
        CommandError: the file can't be read or made, or holds too little.
    """
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with replacing(path) as file:
                file.write(secrets.token_hex(32).encode())
        found = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: the secret of the API keys can't be kept there: {error}") from None
    if len(found) < SHORTEST_SECRET:
        raise CommandError(f"{path}: the secret of the API keys has less than {SHORTEST_SECRET} characters")
    return found
