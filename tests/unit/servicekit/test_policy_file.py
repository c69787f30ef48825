"""A policy from a file, for a service without a control plane."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from servicekit.contracts import LimitPolicy
from servicekit.policy_file import MAX_BYTES, PolicyFile
from tests.harness.xds import eventually


class RefusedError(Exception):
    """The policy can't be enforced."""


class Taker:
    """Remembers what is in force."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.refuses = ""

    def apply(self, policy: LimitPolicy) -> None:
        """Refuse one that has a limit of that name."""
        names = ",".join(limit.name for limit in policy.limits)
        if self.refuses and self.refuses in names:
            raise RefusedError(self.refuses)
        self.taken.append(names)


def policy(*names: str) -> bytes:
    """One with limits of these names."""
    limit = {"by": "ip", "requests": 1, "period_seconds": 1, "burst": 1, "on_store_failure": "local"}
    limits = ",".join(str({**limit, "name": name}).replace("'", '"') for name in names)
    return f'{{"limits": [{limits}]}}'.encode()


@asynccontextmanager
async def following(path: Path, taker: Taker) -> AsyncIterator[PolicyFile[LimitPolicy]]:
    """One that is being followed."""
    file = PolicyFile(path, contract=LimitPolicy, apply=taker.apply, refusals=(RefusedError,))
    running = asyncio.create_task(file.run())
    try:
        yield file
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_changes_are_followed(tmp_path: Path) -> None:
    """Written in place, or renamed over it; the same content twice is no change."""
    path, taker = tmp_path / "policy.json", Taker()
    path.write_bytes(policy("one"))
    async with following(path, taker) as file:
        await eventually(lambda: taker.taken == ["one"], "the policy is in force")
        assert file.complaint() is None
        path.write_bytes(policy("two"))
        await eventually(lambda: taker.taken[-1] == "two", "the policy is in force")
        (tmp_path / "new").write_bytes(policy("three"))
        (tmp_path / "new").rename(path)
        await eventually(lambda: taker.taken[-1] == "three", "the policy is in force")
    assert taker.taken == ["one", "two", "three"]


async def test_a_folder_that_is_swapped_by_a_link(tmp_path: Path) -> None:
    """As Kubernetes does with a ConfigMap."""
    taker = Taker()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.json").write_bytes(policy(name))
    (tmp_path / "..data").symlink_to("a")
    path = tmp_path / "policy.json"
    path.symlink_to("..data/policy.json")
    async with following(path, taker):
        await eventually(lambda: taker.taken == ["a"], "the policy is in force")
        (tmp_path / "..next").symlink_to("b")
        (tmp_path / "..next").rename(tmp_path / "..data")
        await eventually(lambda: taker.taken[-1] == "b", "the policy is in force")


@pytest.mark.parametrize("content", [b"", b"{", b'{"limits": 7}', policy("bad"), b" " * (MAX_BYTES + 1)])
async def test_what_makes_no_sense_changes_nothing(tmp_path: Path, content: bytes) -> None:
    """And a good one after it is taken again."""
    path, taker = tmp_path / "policy.json", Taker()
    taker.refuses = "bad"
    path.write_bytes(policy("one"))
    async with following(path, taker) as file:
        await eventually(lambda: taker.taken == ["one"], "the policy is in force")
        path.write_bytes(content)
        (tmp_path / "new").write_bytes(policy("two"))
        (tmp_path / "new").rename(path)
        await eventually(lambda: taker.taken[-1] == "two", "the policy is in force")
        path.unlink()
        path.write_bytes(content)
        assert file.complaint() is None
    assert taker.taken == ["one", "two"]


async def test_a_file_that_comes_later(tmp_path: Path) -> None:
    """Its folder too; until then there is a complaint."""
    path, taker = tmp_path / "later" / "policy.json", Taker()
    async with following(path, taker) as file:
        await asyncio.sleep(0)
        assert file.complaint() == "no policy yet"
        path.parent.mkdir()
        path.write_bytes(policy("one"))
        await eventually(lambda: taker.taken == ["one"], "the policy is in force")
