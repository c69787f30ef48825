"""Problem documents."""

from __future__ import annotations

import json

from servicekit.problems import problem


def test_a_problem_has_the_members_of_rfc_9457() -> None:
    """Type, title, status and detail, then what the caller adds."""
    assert json.loads(problem(429, "rate-limited", "Too many.", retry_after=3)) == {
        "type": "urn:gateway:problem:rate-limited",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "Too many.",
        "retry_after": 3,
    }
