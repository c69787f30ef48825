"""How much memory the kernel's control groups allow."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cgroup import memory_limit


@pytest.mark.parametrize(
    ("file", "text", "limit"),
    [
        ("memory.max", "536870912\n", 536_870_912),
        ("memory.max", "max\n", None),
        ("memory.max", "", None),
        ("memory.max", "-1\n", None),
        ("memory/memory.limit_in_bytes", "268435456\n", 268_435_456),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", None),
    ],
)
def test_a_limit(tmp_path: Path, file: str, text: str, limit: int | None) -> None:
    """Of either version; both have a way to say that there is none."""
    (tmp_path / "memory").mkdir()
    (tmp_path / file).write_text(text)
    assert memory_limit(tmp_path) == limit


def test_no_control_groups(tmp_path: Path) -> None:
    """No limit is known."""
    assert memory_limit(tmp_path) is None
