"""How Redis or Valkey is reached outside the limiter's hot path: the setting, and a client whose calls all end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import AfterValidator, SecretStr
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.connection import parse_url

_parse: Callable[[str], object] = parse_url  # redis-py has no types here
_from_url: Callable[..., Any] = Redis.from_url
CONNECTIONS: Final = 4


def _check_url(url: SecretStr) -> SecretStr:
    try:
        _parse(url.get_secret_value())
    except ValueError:
        # the parser's own words may hold the password
        raise ValueError("not a Redis URL: write redis://, rediss:// or unix:///path") from None
    return url


RedisUrl = Annotated[SecretStr, AfterValidator(_check_url)]
"""redis://, rediss:// (TLS) or unix:///path."""


def redis_client(url: SecretStr, *, deadline: float) -> Any:
    """A client, not connected yet, which gives up connecting or an answer after ``deadline`` seconds each.

    It never tries again by itself: who calls knows better whether and when.
    """
    return _from_url(
        url.get_secret_value(),
        socket_timeout=deadline,
        socket_connect_timeout=deadline,
        max_connections=CONNECTIONS,
        retry=Retry(NoBackoff(), 0),
    )
