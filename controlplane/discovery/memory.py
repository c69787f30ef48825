"""The last good list of each upstream on disk: what a restart begins with while the list is away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from controlplane.discovery.errors import DiscoveryError
from controlplane.discovery.targets import MAX_BYTES, parse_targets, written
from controlplane.model import Endpoint
from servicekit.private_file import replacing

MAX_FILE_BYTES: Final = 2 * MAX_BYTES

_log = structlog.get_logger(__name__)


class Kept(NamedTuple):
    """What was found once."""

    endpoints: tuple[Endpoint, ...]
    good_at: datetime
    """When they were found to be good; they may have been for longer."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    place: str
    good_at: datetime
    targets: str


class ListMemory:
    """One file for each upstream, written whole or not at all, readable by its owner only. Every method blocks.

    Args:
        folder: where the files are; ``None`` keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def load(self, upstream: str, place: str) -> Kept | None:
        """What was kept of the list at ``place``; ``None`` when nothing was, or nothing can be read."""
        if self._folder is None:
            return None
        try:
            with self._path(self._folder, upstream).open("rb") as file:
                stored = _File.model_validate_json(file.read(MAX_FILE_BYTES))
            if stored.place != place:
                return None
            return Kept(parse_targets(stored.targets.encode()), stored.good_at)
        except FileNotFoundError:
            return None
        except (OSError, ValidationError, DiscoveryError):
            _log.warning("the last good list can't be read; starting without", upstream=upstream)
            return None

    def save(self, upstream: str, place: str, endpoints: Sequence[Endpoint], good_at: datetime) -> None:
        """Keep what was found. A disk that is full or read-only is logged and no reason to stop."""
        if self._folder is None:
            return
        file = _File(place=place, good_at=good_at, targets=written(endpoints))
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Not durable: a torn file is read as none.
            with replacing(self._path(self._folder, upstream), durable=False) as opened:
                opened.write(file.model_dump_json().encode())
        except OSError as error:
            _log.warning("the last good list can't be kept", upstream=upstream, reason=error.strerror)

    @staticmethod
    def _path(folder: Path, upstream: str) -> Path:
        return folder / f"{upstream}.json"
