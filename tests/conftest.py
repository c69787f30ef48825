"""Options and fixtures that every suite has."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.harness.golden import Golden
from tests.harness.watchdog import Watchdog

# How long an example takes says how busy the machine is. Tests have a timeout, which is for what hangs.
settings.register_profile("gateway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gateway")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--update-golden``."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        default=False,
        help="rewrite the golden files with what the code gives now, and delete those that it gives no more",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let no test hold the run for ever: a minute beyond its timeout its process ends."""
    config.pluginmanager.register(Watchdog(grace=60))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares with the golden files, or rewrites them under ``--update-golden``."""
    return Golden(update=bool(request.config.getoption("--update-golden")))
