"""What a token endpoint answers: new tokens, a refusal, or nothing that can be used."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext_authz.issuer_client import IssuerEndpoint, IssuerError
from ext_authz.token_endpoint import RefreshRefusedError, Renewed, read_answer

GOOD = {"access_token": "a.b.c", "token_type": "Bearer", "expires_in": 300, "refresh_token": "r2"}


def answered(status: int = 200, **changes: Any) -> Renewed:
    """An answer that is good but for the changes; what is ``None`` is left out."""
    members = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return read_answer(status, json.dumps(members).encode())


def test_new_tokens() -> None:
    """RFC 6749 §5.1; the type in any case, the lifetime and the other refresh token where they are said."""
    assert answered() == Renewed(access_token="a.b.c", expires_in=300, refresh_token="r2")
    assert answered(token_type="bearer", expires_in=None, refresh_token=None).expires_in is None
    assert answered(expires_in="300").expires_in == 300
    for odd in (-1, True, "soon", "9" * 30, 1e300, [1]):
        assert answered(expires_in=odd).expires_in is None
    assert "a.b.c" not in repr(answered())
    assert "r2" not in repr(answered())


@pytest.mark.parametrize(
    "changes",
    [
        {"access_token": None}, {"access_token": ""}, {"access_token": "a b"}, {"access_token": "a;b"},
        {"access_token": ["a"]}, {"token_type": "mac"}, {"token_type": None}, {"refresh_token": "ü"},
        {"refresh_token": ""}, {"refresh_token": "a\nb"},
    ],
)  # fmt: skip
def test_tokens_that_cannot_be_used(changes: dict[str, Any]) -> None:
    """The issuer's fault, and no refusal: nobody is logged out for it."""
    with pytest.raises(IssuerError):
        answered(**changes)


@pytest.mark.parametrize(
    ("status", "error", "raised"),
    [
        (400, "invalid_grant", RefreshRefusedError),
        (400, "invalid_client", IssuerError),
        (400, "invalid_request", IssuerError),
        (401, "invalid_client", IssuerError),
        (500, "invalid_grant", IssuerError),
        (302, "invalid_grant", IssuerError),
        (400, ["invalid_grant"], IssuerError),
    ],
)
def test_errors(status: int, error: object, raised: type[Exception]) -> None:
    """Only ``invalid_grant`` is about the refresh token (RFC 6749 §5.2)."""
    with pytest.raises(raised):
        read_answer(status, json.dumps({"error": error}).encode())


@given(st.sampled_from([200, 400, 500]), st.binary() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_reading_takes_anything(status: int, body: bytes | str) -> None:
    """Whatever comes is an answer, a refusal or an error in words."""
    with suppress(RefreshRefusedError, IssuerError):
        read_answer(status, body if isinstance(body, bytes) else body.encode())


def test_deep_json() -> None:
    """Is no answer."""
    with pytest.raises(IssuerError):
        read_answer(200, b"[" * 60_000)


def test_a_secret_is_not_shown() -> None:
    """In no trace and no log."""
    assert "s3cret" not in repr(IssuerEndpoint(uri="https://a/token", client_id="g", client_secret=b"s3cret"))
