"""The image installs what the tests ran with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def pins(lock: str) -> dict[str, str]:
    """Each pinned package of a lock with its hashes."""
    text = (ROOT / lock).read_text()
    return dict(re.findall(r"^([a-z0-9][^\s;\\]*==[^\s;\\]+)((?:.*\\\n)(?:.*--hash=\S+.*\n?)+)", text, re.MULTILINE))


@pytest.mark.parametrize("lock", ["requirements.runtime.lock", "requirements.build.lock"])
def test_the_image_is_built_from_the_pins_that_are_tested(lock: str) -> None:
    """Every pin of the image's locks, hashes included, is one of the developers' lock."""
    tested = pins("requirements.lock")
    built = pins(lock)
    assert built
    assert {pin: tested.get(pin) for pin in built} == built


def test_no_lock_names_a_host() -> None:
    """The locks hold names, versions and hashes only, so that they work with every index."""
    for lock in ROOT.glob("requirements*.lock"):
        assert "://" not in lock.read_text()
