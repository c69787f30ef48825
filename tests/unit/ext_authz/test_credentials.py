"""What a request shows."""

from __future__ import annotations

import pytest

from ext_authz.credentials import Malformed, api_key, bearer_token


@pytest.mark.parametrize(
    ("value", "token"),
    [
        ("Bearer a.b.c", "a.b.c"),
        ("bearer a.b.c", "a.b.c"),
        ("BEARER  a.b.c", "a.b.c"),
        ("Bearer AbC-._~+/==", "AbC-._~+/=="),
    ],
)
def test_a_bearer_token(value: str, token: str) -> None:
    """RFC 6750 §2.1; the scheme's case does not matter (RFC 9110 §11.1)."""
    assert bearer_token({"authorization": value}) == token


@pytest.mark.parametrize("value", ["", "Basic YTpi", "Bearerx a", "Digest a=b, c=d", "a.b.c", "ApiKey x"])
def test_no_bearer_token(value: str) -> None:
    """Another scheme is no malformed token: it shows none."""
    assert bearer_token({"authorization": value}) is None
    assert bearer_token({}) is None


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer a,Bearer b",
        "Bearer a, Bearer a",
        "Bearer a,",
        "Basic YTpi,Bearer a",
        'Bearer a, realm="x"',
        "Bearer a\tb",
        "Bearer =",
        "Bearer a=b",
        "Bearer é",
        "Bearer a\n",
        "Bearer\ta",
        'Bearer "a"',
        "Bearer:a",
    ],
)
def test_anything_else_is_malformed(value: str) -> None:
    """Two headers (which a proxy joins by a comma), junk before or after, a token of other characters."""
    assert bearer_token({"authorization": value}) is Malformed.AUTHORIZATION


def test_an_api_key() -> None:
    """The whole header value, if there is any."""
    assert api_key({"x-api-key": "k1"}, "x-api-key") == "k1"
    assert api_key({"x-api-key": ""}, "x-api-key") is None
    assert api_key({}, "x-api-key") is None
