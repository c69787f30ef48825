"""JSON lines."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from datetime import datetime
from typing import Any

SCRIPT = """
import logging, sys, structlog
from servicekit.logs import configure_logging
configure_logging(service="ext-authz", level="INFO")
log = structlog.get_logger("ours")
log.debug("not shown")
log.info("request", request_id="abc", status=200)
logging.getLogger("library").warning("odd: %s", 3)
logging.getLogger("httpx").info("a line for every request")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
log.info("object", value=object)
"""


def lines() -> list[dict[str, Any]]:
    """What a process of its own writes: logging is global, and pytest has its own."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr == ""
    return [json.loads(line) for line in io.StringIO(done.stdout)]


def test_every_line_is_json_with_the_same_fields() -> None:
    """Ours and the libraries', an exception on one line too, and values that are not JSON as text."""
    written = lines()
    assert [line["message"] for line in written] == ["request", "odd: 3", "failed", "object"]
    for line in written:
        assert line["service"] == "ext-authz"
        assert datetime.fromisoformat(line["timestamp"]).utcoffset() is not None
    assert [line["level"] for line in written] == ["INFO", "WARNING", "ERROR", "INFO"]
    assert (written[0]["request_id"], written[0]["status"]) == ("abc", 200)
    assert "ZeroDivisionError" in written[2]["exception"]


def test_importing_it_configures_nothing() -> None:
    """Only the call does."""
    import servicekit.logs

    assert servicekit.logs.__doc__
    assert not any(type(h).__module__.startswith("servicekit") for h in logging.getLogger().handlers)
