"""The last good policy on disk: what a service begins with while the control plane is away."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import BaseModel, ValidationError

from servicekit.private_file import replacing

_log = structlog.get_logger(__name__)


class _Stored(BaseModel):
    version: str
    body: str


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as it came: its bytes and the version that the control plane gave them."""

    version: str
    body: bytes


class LastGood:
    """One file that holds one policy, written whole or not at all, readable by its owner only.

    Args:
        folder: where the file is; ``None`` keeps nothing.
        name: of the file, without its ending.
    """

    def __init__(self, folder: Path | None, name: str) -> None:
        self._path = folder / f"{name}.json" if folder is not None else None

    def load(self) -> Policy | None:
        """What :meth:`save` wrote last; ``None`` when there is nothing that can be read."""
        if self._path is None or not self._path.is_file():
            return None
        try:
            stored = _Stored.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError) as error:
            _log.warning("the last good policy can't be read; starting without", path=str(self._path), error=str(error))
            return None
        return Policy(stored.version, stored.body.encode())

    def forget(self) -> None:
        """Keep nothing any more."""
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def save(self, policy: Policy) -> None:
        """Keep ``policy``. A disk that is full or read-only is logged and no reason to stop."""
        if self._path is None:
            return
        text = _Stored(version=policy.version, body=policy.body.decode()).model_dump_json()
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Not durable: waiting for the disk would hold up decisions, and a torn file is read as none.
            with replacing(self._path, durable=False) as file:
                file.write(text.encode())
        except OSError as error:
            _log.warning("the last good policy can't be kept", path=str(self._path), error=str(error))
