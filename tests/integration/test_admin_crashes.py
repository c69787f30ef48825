"""What the admin API has answered 2xx is there, whoever dies in the middle of the next write."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness.admin import DOCUMENT
from tests.harness.control_plane import ControlPlane, running_control_plane
from tests.harness.postgres import running_postgres

WRITERS, BEFORE_THE_END = 3, 6


def write(plane: ControlPlane, name: str, answered: dict[str, int], enough: threading.Semaphore) -> None:
    """Put one route after the other until nobody answers any more; note those that were kept."""
    with plane.client() as http, contextlib.suppress(httpx.TransportError):
        for number in range(1000):
            route = {"match": {"path": f"/{name}-{number}"}, "upstream": "resumes"}
            answer = http.put(f"/routes/{name}-{number}", json=route, params={"position": 0})
            if answer.status_code == 200:
                answered[f"{name}-{number}"] = answer.json()["revision"]
                enough.release()
            elif answer.status_code == 503:
                return


def written_until(plane: ControlPlane, end: Callable[[], None]) -> dict[str, int]:
    """What several writers were told is kept until ``end``, which comes amid their writes."""
    answered: dict[str, int] = {}
    enough = threading.Semaphore(0)
    writers = [threading.Thread(target=write, args=(plane, f"w{n}", answered, enough)) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    for _ in range(BEFORE_THE_END):
        assert enough.acquire(timeout=20)
    end()
    for writer in writers:
        writer.join(30)
    return answered


def assert_kept(plane: ControlPlane, answered: dict[str, int]) -> None:
    """Every route that was answered is live, in its revision, and in the audit log, whose chain is whole."""
    with plane.client() as http:
        names = pages(http, "/routes", "after")
        assert answered.keys() <= {one["name"] for one in names}
        for name, number in answered.items():
            assert f"name: {name}\n" in http.get(f"/revisions/{number}").json()["text"]
        entries = pages(http, "/audit", "before")
        intended = {one["target"] for one in entries if one["detail"]["phase"] == "intent"}
        assert {f"/routes/{name}" for name in answered} <= intended
        assert http.get("/audit/verify").json()["whole"]
        numbers = [one["number"] for one in pages(http, "/revisions", "before")]
        assert numbers == list(range(len(numbers), 0, -1))


def pages(http: httpx.Client, path: str, cursor: str) -> list[Any]:
    """Everything of a list."""
    items, query = [], {"limit": "200"}
    while True:
        page = http.get(path, params=query).json()
        items += page["items"]
        if page[cursor] is None:
            return items
        query[cursor] = page[cursor]


def test_a_killed_control_plane_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """SIGKILL amid the writes of three, on SQLite; the next process has it all."""
    (tmp_path / "gateway.yaml").write_text(DOCUMENT)
    url = f"sqlite:///{tmp_path}/history.db"
    with running_control_plane(tmp_path, url) as plane:
        answered = written_until(plane, plane.kill)
    with running_control_plane(tmp_path, url) as plane:
        assert_kept(plane, answered)


@pytest.mark.xdist_group("postgres")
def test_a_killed_database_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """PostgreSQL is stopped at once amid the writes: 503 until it is back, and then all is there."""
    (tmp_path / "gateway.yaml").write_text(DOCUMENT)
    with running_postgres() as server, running_control_plane(tmp_path, server.url()) as plane:
        answered = written_until(plane, server.kill)
        with plane.client() as http:
            assert http.put("/routes/late", json={}).status_code in {422, 503}
            assert http.get("/revisions").status_code == 503
            assert http.get("/document").status_code == 200
        server.start()
        assert_kept(plane, answered)
