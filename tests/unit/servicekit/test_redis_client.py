"""The ways to say where Redis is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from servicekit.redis_client import RedisUrl, connection_pool

URL: TypeAdapter[object] = TypeAdapter(RedisUrl)


def test_sentinels_are_read_from_the_url() -> None:
    """Their addresses and credentials, and the primary's name, credentials and database."""
    pool = connection_pool(
        "rediss+sentinel://app:s3cret@one:1,[::1]:2,three/my%2Fname/5?sentinel_password=x&ssl_cert_reqs=none",
        socket_timeout=3,
    )
    assert (pool.service_name, pool.connection_class.__name__) == ("my/name", "SentinelManagedSSLConnection")
    options = pool.connection_kwargs
    assert [options[key] for key in ("username", "password", "db", "socket_timeout")] == ["app", "s3cret", 5, 3]
    asked = [client.connection_pool for client in pool.sentinel_manager.sentinels]
    assert [(one.connection_kwargs["host"], one.connection_kwargs["port"]) for one in asked] == [
        ("one", 1),
        ("::1", 2),
        ("three", 26379),
    ]
    assert {(one.connection_kwargs["password"], one.connection_class.__name__) for one in asked} == {
        ("x", "SSLConnection")
    }


def test_without_tls_there_is_none() -> None:
    """Neither to the Sentinels nor to the primary; and their password is not the primary's."""
    pool = connection_pool("redis+sentinel://:s3cret@one/main")
    (asked,) = pool.sentinel_manager.sentinels
    assert pool.connection_class.__name__ == "SentinelManagedConnection"
    assert asked.connection_pool.connection_class.__name__ == "Connection"
    assert asked.connection_pool.connection_kwargs.get("password") is None


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://one:26379",
        "redis+sentinel:///main",
        "redis+sentinel://one,/main",
        "redis+sentinel://one:x/main",
        "unix+sentinel://one/main",
        "http://s3cret",
        "redis+sentinel://one/main?db=s3cret",
    ],
)
def test_what_is_no_url_is_refused_without_its_secrets(url: str) -> None:
    """And the words say what one looks like."""
    with pytest.raises(ValidationError, match="write redis://") as refused:
        URL.validate_python(url)
    assert "s3cret" not in str(refused.value.errors()[0]["msg"])


@given(st.text() | st.from_regex(r"rediss?\+sentinel://.*", fullmatch=True))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else comes of it."""
    try:
        connection_pool(text)
    except ValueError:
        with pytest.raises(ValidationError):
            URL.validate_python(text)
