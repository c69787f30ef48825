"""The ways to reach Redis: TCP and Unix socket, with and without a user who may do only what is needed."""

from __future__ import annotations

import pytest

from servicekit.buckets.bucket import shape
from servicekit.buckets.leases import Leases
from servicekit.buckets.takes import Take
from tests.harness.valkey import Valkey
from tests.integration.ratelimit.rig import running_store

TAKE = Take(b"gateway:limit:1:x", shape(requests=1, period_us=1_000_000, burst=2), 1)
LEASE = Take(b"gateway:limit:1:y", Leases(2, 60_000_000), 7)
LEAST = (
    *("-@all", "+evalsha", "+eval", "+time", "+get", "+set"),
    *("+zadd", "+zcard", "+zrem", "+zremrangebyscore", "+pexpire", "+del"),
)
"""What docs/reference/rate-limits.md says is enough."""


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:{port}/1",
        "redis://limiter:s3cret@127.0.0.1:{port}/0",
        "unix://{socket}?db=2",
        "unix://limiter:s3cret@{socket}",
    ],
)
async def test_a_limit_is_counted(own_valkey: Valkey, url: str) -> None:
    """Whatever the URL's form."""
    port = own_valkey.listen()
    own_valkey.command("ACL", "SETUSER", "limiter", "on", ">s3cret", "~gateway:limit:*", *LEAST)
    async with running_store(url.format(port=port, socket=own_valkey.socket)) as store:
        assert [(await store.take([TAKE]))[0].remaining for _ in range(2)] == [1, 0]
        held = [(await store.take([LEASE._replace(hits=hits)]))[0].remaining for hits in (7, 900, -7, -900)]
        assert held == [1, 0, 1, 2]
        own_valkey.command("SET", "gateway:limit:1:y", "of another type")
        assert (await store.take([LEASE]))[0].remaining == 1


async def test_wrong_credentials_are_an_outage_and_are_not_logged(
    own_valkey: Valkey, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log says what is wrong, without the password."""
    own_valkey.command("ACL", "SETUSER", "limiter", "on", ">s3cret", "~*", "+@all")
    with pytest.raises(AssertionError, match="in vain"):
        async with running_store(f"unix://limiter:wr0ng@{own_valkey.socket}", patience=0.3):
            pass
    output = capsys.readouterr().out
    assert "invalid username-password pair" in output
    assert "wr0ng" not in output
