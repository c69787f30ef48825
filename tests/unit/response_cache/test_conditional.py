"""What a client has already."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from response_cache.conditional import has_it

MODIFIED = "Mon, 23 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("request_headers", "kept", "has"),
    [
        ({}, {"etag": '"a"'}, False),
        ({"if-none-match": '"a"'}, {"etag": '"a"'}, True),
        ({"if-none-match": 'W/"a"'}, {"etag": '"a"'}, True),
        ({"if-none-match": '"b","a"'}, {"etag": 'W/"a"'}, True),
        ({"if-none-match": '"b"'}, {"etag": '"a"'}, False),
        ({"if-none-match": "*"}, {}, True),
        ({"if-none-match": "a"}, {"etag": "a"}, False),
        ({"if-none-match": '"b"', "if-modified-since": MODIFIED}, {"etag": '"a"', "last-modified": MODIFIED}, False),
        ({"if-modified-since": MODIFIED}, {"last-modified": MODIFIED}, True),
        ({"if-modified-since": MODIFIED}, {"last-modified": "Mon, 23 Nov 2026 10:00:01 GMT"}, False),
        ({"if-modified-since": MODIFIED}, {}, False),
        ({"if-modified-since": "soon"}, {"last-modified": MODIFIED}, False),
    ],
)
def test_preconditions(request_headers: dict[str, str], kept: dict[str, str], has: bool) -> None:
    """Entity tags are compared weakly and go before dates."""
    assert has_it(request_headers, kept) is has


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_comes(wanted: str, etag: str) -> None:
    """Any texts are compared."""
    assert has_it({"if-none-match": wanted, "if-modified-since": wanted}, {"etag": etag, "last-modified": etag}) in (
        True,
        False,
    )
