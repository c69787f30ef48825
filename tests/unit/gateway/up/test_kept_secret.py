"""The secret of the API keys is made once, and is its user's alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import CommandError
from gateway.up.kept_secret import kept_secret


def test_it_is_found_again(tmp_path: Path) -> None:
    """In a folder that nobody else can enter, in a file that nobody else can read."""
    path = tmp_path / "state" / "api-key-secret"
    made = kept_secret(path)
    assert len(made) == 64
    assert kept_secret(path) == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", [b"short", b"\xff" * 64, b""])
def test_a_damaged_one_is_not_replaced(tmp_path: Path, damage: bytes) -> None:
    """With another secret no key would be known any more: somebody has to look."""
    path = tmp_path / "api-key-secret"
    path.write_bytes(damage)
    with pytest.raises(CommandError, match="api-key-secret"):
        kept_secret(path)
    assert path.read_bytes() == damage
