"""Cookies are written strictly: what is set comes back as it is, and nothing else can be smuggled in."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext_authz.set_cookie import LONGEST, fits, set_cookie
from ext_authz.token_places import cookie_value, with_cookie


def written(name: str, value: str, **changes: Any) -> str:
    """As for a session."""
    options: dict[str, Any] = {"max_age": 60, "path": "/", "same_site": "Lax", "secure": True}
    return set_cookie(name, value, **(options | changes))


def test_all_of_it() -> None:
    """Every attribute that keeps it from scripts, other sites and clear text."""
    assert written("session", "abc") == "session=abc; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax"
    assert written("s", "", max_age=0, secure=False, same_site="Strict", path="/app") == (
        "s=; Path=/app; Max-Age=0; HttpOnly; SameSite=Strict"
    )
    assert "Max-Age" not in written("s", "x", max_age=None)


@given(st.text(max_size=20), st.text(max_size=50))
def test_what_fits_comes_back_and_nothing_else_is_written(name: str, value: str) -> None:
    """Read by another implementation, there is the one cookie; what does not fit is never written."""
    if not fits(name, value):
        with pytest.raises(ValueError, match="can't hold this"):
            written(name, value)
        return
    (morsel,) = SimpleCookie(written(name, value)).values() or [None]
    if morsel is not None:
        assert (morsel.key, morsel.value) == (name, value)
    assert cookie_value(with_cookie("a=1; b=2", name, value), name) == value


@given(st.from_regex(r"[A-Za-z0-9._~-]{1,20}", fullmatch=True), st.text("abc;=, ", max_size=50))
def test_one_cookie_in_the_place_of_others(name: str, text: str) -> None:
    """Whatever the client sent."""
    changed = with_cookie(text, name, "new")
    assert cookie_value(changed, name) == "new"
    assert changed.count("new") == 1


def test_bounds() -> None:
    """Browsers drop longer ones; two of one name are none; a header that is too long is not looked at."""
    assert fits("s", "x" * (LONGEST - 1))
    assert not fits("s", "x" * LONGEST)
    assert cookie_value("a=1; a=2", "a") is None
    assert cookie_value("a=1; " + "b" * 40_000, "a") is None


def test_an_error_does_not_hold_the_value() -> None:
    """It may be a token."""
    with pytest.raises(ValueError, match="session") as caught:
        written("session", "s3cret value")
    assert "s3cret" not in str(caught.value)
