"""How Redis or Valkey is reached: the setting, connections to it, and a client whose calls all end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from pydantic import AfterValidator, SecretStr
from redis.asyncio import Redis
from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.connection import parse_url

# redis-py has no types here
_parse: Callable[[str], dict[str, Any]] = parse_url
_pool_of: Callable[..., Any] = ConnectionPool.from_url
_sentinel: Callable[..., Any] = Sentinel
_client_of: Callable[[Any], Any] = Redis.from_pool

CONNECTIONS: Final = 4

SENTINEL_SECONDS: Final = 0.15
"""For each step of asking one Sentinel: some that do not answer leave time for one that does within a second."""

_SENTINEL: Final = "+sentinel"
_SENTINEL_PORT: Final = 26379
_CREDENTIALS: Final = ("username", "password")


class _PoolBehindSentinels(SentinelConnectionPool):
    """Closes its connections to the Sentinels with its own."""

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Without those in use, when the primary is another one: then the Sentinels are still needed."""
        await super().disconnect(inuse_connections=inuse_connections)
        if inuse_connections:
            await self.sentinel_manager.aclose()


_sentinel_pool: Callable[..., Any] = _PoolBehindSentinels


class _Watched(NamedTuple):
    """A primary that Sentinels know by name."""

    name: str
    sentinels: Sequence[tuple[str, int]]
    options: Mapping[str, Any]
    """Of connections to the primary."""
    sentinel_options: Mapping[str, Any]


def _check_url(url: SecretStr) -> SecretStr:
    try:
        _read(url.get_secret_value())
    except ValueError:
        # the parser's own words may hold the password
        raise ValueError(
            "not a Redis URL: write redis://, rediss://, unix:///path or redis+sentinel://HOST:PORT,HOST:PORT/NAME"
        ) from None
    return url


RedisUrl = Annotated[SecretStr, AfterValidator(_check_url)]
"""redis://, rediss:// (TLS), unix:///path, or redis+sentinel:// and rediss+sentinel:// with the Sentinels and the name
of the primary."""


def connection_pool(url: str, **options: Any) -> Any:
    """A pool of redis-py, of which nothing is connected yet. ``options`` are its connections'.

    Behind Sentinels every new connection asks them who the primary is.

    Raises:
        ValueError: the URL is none.
    """
    watched = _read(url)
    if watched is None:
        return _pool_of(url, **options)
    deadlines = {"socket_timeout": SENTINEL_SECONDS, "socket_connect_timeout": SENTINEL_SECONDS}
    sentinels = _sentinel(
        watched.sentinels,
        sentinel_kwargs={**watched.sentinel_options, **deadlines, "retry": Retry(NoBackoff(), 0)},
    )
    return _sentinel_pool(watched.name, sentinels, **{**watched.options, **options})


def redis_client(url: SecretStr, *, deadline: float) -> Any:
    """A client, not connected yet, which gives up connecting or an answer after ``deadline`` seconds each.

    It never tries again by itself: who calls knows better whether and when.
    """
    return _client_of(
        connection_pool(
            url.get_secret_value(),
            socket_timeout=deadline,
            socket_connect_timeout=deadline,
            max_connections=CONNECTIONS,
            retry=Retry(NoBackoff(), 0),
        )
    )


def _read(url: str) -> _Watched | None:
    """What a URL says of Sentinels; ``None`` for one without.

    Raises:
        ValueError: it is no Redis URL.
    """
    scheme, _, rest = url.partition(f"{_SENTINEL}://")
    if not rest:
        _parse(url)
        return None
    if scheme not in ("redis", "rediss"):
        raise ValueError("Sentinels are reached by redis or rediss")
    # By hand: a list of addresses is no authority of RFC 3986, and urlsplit refuses it where one is of IPv6.
    rest, _, asked = rest.partition("?")
    authority, _, path = rest.partition("/")
    credentials, _, hosts = authority.rpartition("@")
    name, _, database = path.partition("/")
    if not name or not hosts:
        raise ValueError("Sentinels have addresses, and the primary a name")
    query = dict(parse_qsl(asked))
    theirs = {key: query.pop(f"sentinel_{key}") for key in _CREDENTIALS if f"sentinel_{key}" in query}
    base = f"{scheme}://{credentials}{'@' if credentials else ''}primary/{database}?{urlencode(query)}"
    options = {key: value for key, value in _parse(base).items() if key not in ("host", "connection_class")}
    tls = {key: value for key, value in options.items() if key.startswith("ssl_")}
    if scheme == "rediss":
        options["ssl"] = tls["ssl"] = True
    return _Watched(unquote(name), [_address(host) for host in hosts.split(",")], options, {**tls, **theirs})


def _address(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("an address is missing")
    return parts.hostname, parts.port or _SENTINEL_PORT
