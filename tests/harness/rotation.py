"""A folder of TLS files that is replaced as Kubernetes does it: by the swap of a link."""

from __future__ import annotations

from pathlib import Path

from servicekit.tls_files import AUTHORITY, CERTIFICATE, PRIVATE_KEY


class MountedSecret:
    """``folder`` as a pod sees a mounted secret: each file is a link through ``..data``, which leads to a version."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder = folder
        self._versions = 0
        folder.mkdir(exist_ok=True)
        self.swap(source)
        for name in (CERTIFICATE, PRIVATE_KEY, AUTHORITY):
            (folder / name).symlink_to(f"..data/{name}")

    def swap(self, source: Path) -> None:
        """Let all files be those of ``source``, at once."""
        self._versions += 1
        version = self.folder / f"..version-{self._versions}"
        version.mkdir()
        for name in (CERTIFICATE, PRIVATE_KEY, AUTHORITY):
            (version / name).write_bytes((source / name).read_bytes())
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.replace(self.folder / "..data")
