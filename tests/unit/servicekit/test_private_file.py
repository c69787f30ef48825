"""A file that is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from servicekit.private_file import replacing


@pytest.mark.parametrize("durable", [True, False])
def test_it_takes_the_place_of_the_old_one(tmp_path: Path, durable: bool) -> None:
    """When it is whole; only its user can read it, whatever the old one was."""
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(0o644)
    with replacing(path, durable=durable) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_breaks_off_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    """Also when it is the user who breaks it off."""
    path = tmp_path / "x"
    path.write_text("old")

    def breaks_off() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        breaks_off()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    """For the caller to put into words."""
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "none" / "x"):
        pass
