"""Options and fixtures that every suite has."""

from __future__ import annotations

import pytest

from tests.harness.golden import Golden


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--update-golden``."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        default=False,
        help="rewrite the golden files with what the code gives now, and delete those that it gives no more",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares with the golden files, or rewrites them under ``--update-golden``."""
    return Golden(update=bool(request.config.getoption("--update-golden")))
