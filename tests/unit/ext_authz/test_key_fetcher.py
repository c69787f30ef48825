"""Fetching over HTTP, from a real server that misbehaves."""

from __future__ import annotations

import gzip
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from ext_authz.errors import KeyFetchError
from ext_authz.key_fetcher import HttpKeyFetcher
from ext_authz.key_uri import is_loopback
from tests.harness.idp import IdentityProvider, Reply, identity_provider


@pytest.fixture
def idp() -> Iterator[IdentityProvider]:
    """A real server."""
    with identity_provider() as provider:
        yield provider


@pytest.fixture
async def fetcher() -> AsyncIterator[HttpKeyFetcher]:
    """A fetcher with small bounds."""
    fetcher = HttpKeyFetcher(deadline=10, max_bytes=1000)
    yield fetcher
    await fetcher.aclose()


async def test_it_brings_the_document(idp: IdentityProvider, fetcher: HttpKeyFetcher) -> None:
    """Octets as they were sent."""
    assert await fetcher.fetch(idp.url) == b'{"keys":[]}'


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(status=500), "answered 500"),
        (Reply(status=404), "answered 404"),
        (Reply(status=204, body=b""), "answered 204"),
        (Reply(body=b"x" * 1001), "more than 1000 bytes"),
        (Reply(body=gzip.compress(b"x" * 100_000), headers={"content-encoding": "gzip"}), "content encoding"),
        (Reply(status=302, headers={"location": "http://localhost:1/jwks"}), "another host"),
        (Reply(status=302, headers={"location": "http://127.0.0.1:1/jwks"}), "another host"),
        (Reply(status=302, headers={"location": "https://127.0.0.1/jwks"}), "another host"),
        (Reply(status=302, headers={"location": "file:///etc/passwd"}), "another host"),
        (Reply(status=302, headers={"location": "/jwks"}), "more than 3 redirects"),
        (Reply(headers={"content-length": "500"}), "RemoteProtocolError"),
    ],
    ids=lambda value: "" if isinstance(value, Reply) else value,
)
async def test_bad_answers_are_refused(idp: IdentityProvider, fetcher: HttpKeyFetcher, reply: Reply, why: str) -> None:
    """Status, size, compression, redirects elsewhere and in circles, a body that breaks off."""
    idp.reply = reply
    with pytest.raises(KeyFetchError, match=why):
        await fetcher.fetch(idp.url)


async def test_a_redirect_on_the_same_host_is_followed(idp: IdentityProvider, fetcher: HttpKeyFetcher) -> None:
    """Providers move their keys on their own host."""
    idp.replies["/jwks"] = Reply(status=301, headers={"location": "/keys"})
    idp.replies["/keys"] = Reply(b'{"keys":[1]}')
    assert await fetcher.fetch(idp.url) == b'{"keys":[1]}'


async def test_a_slow_provider_is_given_up(idp: IdentityProvider) -> None:
    """The deadline is for everything together."""
    idp.reply = Reply(delay=10)
    fetcher = HttpKeyFetcher(deadline=0.3)
    began = time.monotonic()
    with pytest.raises(KeyFetchError, match=r"no answer within 0\.3 s"):
        await fetcher.fetch(idp.url)
    await fetcher.aclose()
    assert time.monotonic() - began < 5


async def test_nobody_listens(idp: IdentityProvider, fetcher: HttpKeyFetcher) -> None:
    """A refused connection is the same error."""
    idp.stop()
    with pytest.raises(KeyFetchError, match="ConnectError"):
        await fetcher.fetch(idp.url)


@pytest.mark.parametrize(
    ("uri", "here"),
    [
        ("http://127.0.0.1:8049/jwks", True),
        ("http://localhost/jwks", True),
        ("http://[::1]:1/", True),
        ("http://127.0.0.1.evil.com/", False),
        ("http://localhost.evil.com/", False),
        ("http://127.0.0.1@evil.com/", False),
        ("http://10.0.0.1/", False),
        ("http://0.0.0.0/", False),
        ("nonsense", False),
    ],
)
def test_what_stays_on_the_machine(uri: str, here: bool) -> None:
    """Only then plain http is no danger."""
    assert is_loopback(uri) is here
