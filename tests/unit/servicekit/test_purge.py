"""What a purge means."""

from __future__ import annotations

import pytest

from servicekit.contracts.purge import Purge


@pytest.mark.parametrize(
    ("purge", "path", "meant"),
    [
        (Purge(id="1", route="r"), "/x", True),
        (Purge(id="1", route="other"), "/x", False),
        (Purge(id="1", path_prefix="/a"), "/a", True),
        (Purge(id="1", path_prefix="/a"), "/a/b", True),
        (Purge(id="1", path_prefix="/a"), "/ab", False),
        (Purge(id="1", path_prefix="/a"), "/", False),
        (Purge(id="1", path_prefix=""), "/", True),
        (Purge(id="1", path_prefix=""), "/a", True),
        (Purge(id="1"), "/a", False),
    ],
)
def test_what_is_meant(purge: Purge, path: str, meant: bool) -> None:
    """A route as a whole; a path and what lies below it."""
    assert purge.means("r", path) is meant
