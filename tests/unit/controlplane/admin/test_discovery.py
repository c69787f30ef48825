"""What the API says of lists of endpoints."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from controlplane.discovery import Standing
from controlplane.model import Endpoint
from tests.harness.admin import running_admin

V1 = "/api/v1"
WHEN = datetime(2026, 1, 2, tzinfo=UTC)
ORDERS = Standing(
    upstream="orders",
    kind="file",
    endpoints=(Endpoint(host="10.0.0.1", port=80, weight=2, labels=(("v", "1"),)),),
    changed_at=WHEN,
    good_at=WHEN,
    failing_since=WHEN,
    error="the list is empty",
)


async def test_lists(tmp_path: Path) -> None:
    """All of them in short, and one with what was found; there is none for an upstream without."""
    async with running_admin(tmp_path, standings=(ORDERS, Standing(upstream="stock", kind="http"))) as admin:
        orders, stock = (await admin.http.get(f"{V1}/discovery")).json()
        whole = (await admin.http.get(f"{V1}/discovery/orders")).json()
        missing = await admin.http.get(f"{V1}/discovery/echo")
    (found,) = whole.pop("found")
    assert (found["host"], found["port"], found["weight"], found["labels"]) == ("10.0.0.1", 80, 2, {"v": "1"})
    assert whole == orders
    assert (orders["endpoints"], orders["error"]) == (1, "the list is empty")
    assert orders["failing_since"] == orders["good_at"] == "2026-01-02T00:00:00Z"
    assert (stock["endpoints"], stock["good_at"], stock["error"]) == (0, None, None)
    assert missing.status_code == 404
    assert "no-such-list" in missing.text
