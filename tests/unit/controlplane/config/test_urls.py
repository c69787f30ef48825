"""URLs of endpoints and of keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from controlplane.config.urls import EndpointUrl, KeysUrl, parse_endpoint_url

KEYS_URL: TypeAdapter[str] = TypeAdapter(KeysUrl)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:8048", EndpointUrl(tls=False, host="127.0.0.1", port=8048)),
        ("https://Example.COM/", EndpointUrl(tls=True, host="example.com", port=443)),
        ("http://[::1]", EndpointUrl(tls=False, host="::1", port=80)),
        (
            "http://my_service.ns.svc.cluster.local.:1",
            EndpointUrl(tls=False, host="my_service.ns.svc.cluster.local.", port=1),
        ),
    ],
)
def test_an_endpoint_is_a_scheme_a_host_and_a_port(text: str, url: EndpointUrl) -> None:
    """Ports follow the scheme, names are in lower case."""
    assert parse_endpoint_url(text) == url


@given(st.text() | st.text("htps:/[]@.%0123456789abc-_#?", max_size=30) | st.text(max_size=10).map("http://{}".format))
def test_any_text_is_an_endpoint_or_refused(text: str) -> None:
    """No other error comes out, whatever the standard library makes of it, and hosts are clean."""
    try:
        url = parse_endpoint_url(text)
    except PydanticCustomError:
        return
    assert 1 <= url.port <= 65535
    assert url.host
    assert set(url.host) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.:")


@pytest.mark.parametrize(
    "url", ["http://user:secret@h", "http://secret/x y", "ftp://secret", "http://h/secret", "http://h:secret"]
)
def test_a_refusal_does_not_repeat_the_url(url: str) -> None:
    """It may hold a password."""
    with pytest.raises(PydanticCustomError) as caught:
        parse_endpoint_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://id.example.com/keys?v=1", "http://127.0.0.1:8049/keys", "http://[::1]/k", "http://localhost/k"]
)
def test_keys_come_over_https_or_from_this_machine(url: str) -> None:
    """Loopback is the one place where plain HTTP cannot be tampered with on its way."""
    assert KEYS_URL.validate_python(url) == url


@pytest.mark.parametrize(
    "url",
    ["http://id.example.com/keys", "http://127.0.0.1.example.com/k", "http://10.0.0.1/k", "http://localhost.evil/k"],
)
def test_keys_do_not_come_over_plain_http(url: str) -> None:
    """Neither from names that only look local."""
    with pytest.raises(ValidationError, match="https"):
        KEYS_URL.validate_python(url)
