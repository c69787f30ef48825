"""TLS files that change: what is whole counts, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from servicekit.tls_files import LOOK_EVERY, TlsFiles, TlsFilesError
from tests.harness.certificates import Authority
from tests.harness.rotation import MountedSecret


@dataclass(slots=True)
class Clock:
    """Stands still until it is told."""

    now: float = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_a_swapped_link_counts_at_the_next_look(tmp_path: Path) -> None:
    """All three files at once; between two looks nothing is read."""
    authority, clock = Authority(tmp_path), Clock()
    secret = MountedSecret(tmp_path / "tls", authority.member("one"))
    files = TlsFiles(secret.folder, clock=clock)
    before = files.current()
    two = authority.member("two")
    secret.swap(two)
    assert files.current() is before
    clock.now += LOOK_EVERY
    assert files.current().certificate == (two / "tls.crt").read_bytes()
    assert files.current() is files.current()


def test_files_replaced_one_by_one_count_when_they_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A certificate with another's key is told of once, and what was there goes on; so does it when a file is gone."""
    authority, clock = Authority(tmp_path), Clock()
    folder, two = authority.member("one"), authority.member("two")
    files = TlsFiles(folder, clock=clock)
    before = files.current()
    (folder / "tls.crt").write_bytes((two / "tls.crt").read_bytes())
    for _ in range(3):
        clock.now += LOOK_EVERY
        assert files.current() is before
    assert capsys.readouterr().out.count("new certificates can't be used") == 1
    (folder / "tls.key").unlink()
    clock.now += LOOK_EVERY
    assert files.current() is before
    (folder / "tls.key").write_bytes((two / "tls.key").read_bytes())
    clock.now += LOOK_EVERY
    assert files.current().key == (two / "tls.key").read_bytes()


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "ca.crt"])
def test_a_process_does_not_begin_with_rubbish(tmp_path: Path, name: str) -> None:
    """The folder or the file is named."""
    folder = Authority(tmp_path).member("one")
    (folder / name).write_text("rubbish")
    with pytest.raises(TlsFilesError, match="member-one"):
        TlsFiles(folder)
    (folder / name).unlink()
    with pytest.raises(TlsFilesError, match=f"{name}: No such file"):
        TlsFiles(folder)
