"""Following a file: every way in which it can change."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from controlplane.config import ConfigError, GatewayConfig
from controlplane.sources import FileSource, Loaded
from controlplane.sources.links import folders_on_the_way

DEADLINE = 10.0
"""Seconds for a change to be seen. Far below ``NEVER``, so that only the watch can have seen it."""
NEVER = 3600.0
"""Seconds between looks without a sign: a test that waits for one fails."""


def text(port: int) -> str:
    """A document that can be told from others by its port."""
    return (
        f"listeners: [{{name: http, port: {port}}}]\n"
        "upstreams: [{name: echo, endpoints: ['http://127.0.0.1']}]\n"
        "routes: [{match: {path_prefix: /}, upstream: echo}]\n"
    )


class Follower:
    """Reads a source step by step."""

    def __init__(self, documents: AsyncIterator[Loaded]) -> None:
        self._documents = documents

    async def loaded(self) -> Loaded:
        """What the source gives next."""
        async with asyncio.timeout(DEADLINE):
            return await anext(self._documents)

    async def port(self) -> int:
        """The port of the next document, which has to be a good one."""
        content = (await self.loaded()).content
        assert isinstance(content, GatewayConfig), content
        return content.listeners[0].port

    async def refusal(self) -> str:
        """Why the next document is none."""
        content = (await self.loaded()).content
        assert isinstance(content, ConfigError)
        return str(content)


@asynccontextmanager
async def following(path: Path, *, poll: float = NEVER) -> AsyncIterator[Follower]:
    """Follow ``path`` for as long as a test takes."""
    async with aclosing(FileSource(path, debounce=0.02, poll=poll).documents()) as documents:
        yield Follower(documents)


async def test_the_first_document_comes_at_once(tmp_path: Path) -> None:
    """Without any change, and it says where it came from."""
    path = tmp_path / "gateway.yaml"
    path.write_text(text(1))
    async with following(path) as follower:
        assert (await follower.loaded()).origin == str(path)


async def test_a_file_written_in_place(tmp_path: Path) -> None:
    """As ``echo >`` and some editors do; the moment in which it is empty is not taken for a document."""
    path = tmp_path / "gateway.yaml"
    path.write_text(text(1))
    async with following(path) as follower:
        assert await follower.port() == 1
        for port in (2, 3):
            path.write_text(text(port))
            assert await follower.port() == port


async def test_a_file_renamed_over_the_old_one(tmp_path: Path) -> None:
    """As most editors save."""
    path = tmp_path / "gateway.yaml"
    path.write_text(text(1))
    async with following(path) as follower:
        assert await follower.port() == 1
        for port in (2, 3):
            (tmp_path / ".gateway.yaml.swp").write_text(text(port))
            (tmp_path / ".gateway.yaml.swp").rename(path)
            assert await follower.port() == port


async def test_a_change_before_the_first_is_asked_for_again(tmp_path: Path) -> None:
    """While a document is brought live nobody asks the source; what is saved then is given next."""
    path = tmp_path / "gateway.yaml"
    path.write_text(text(1))
    async with following(path) as follower:
        assert await follower.port() == 1
        path.write_text(text(2))
        path.write_text(text(3))
        assert await follower.port() == 3


async def test_a_kubernetes_config_map(tmp_path: Path) -> None:
    """The file is a link through ``..data``, which is turned to a new folder; the old folder goes away."""
    path = tmp_path / "gateway.yaml"
    _mount(tmp_path, 1)
    path.symlink_to("..data/gateway.yaml")
    async with following(path) as follower:
        assert await follower.port() == 1
        for port in (2, 3, 4):
            _mount(tmp_path, port)
            assert await follower.port() == port


def _mount(volume: Path, port: int) -> None:
    """Put a new version into a volume the way the kubelet does."""
    data = volume / "..data"
    previous = data.resolve() if data.exists() else None
    version = volume / f"..version_{port}"
    version.mkdir()
    (version / "gateway.yaml").write_text(text(port))
    (volume / "..data_tmp").symlink_to(version.name)
    (volume / "..data_tmp").rename(data)
    if previous is not None:
        (previous / "gateway.yaml").unlink()
        previous.rmdir()


async def test_a_link_into_another_folder(tmp_path: Path) -> None:
    """Both the link and what it leads to can change."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "one.yaml").write_text(text(1))
    (tmp_path / "real" / "two.yaml").write_text(text(2))
    path = tmp_path / "gateway.yaml"
    path.symlink_to(tmp_path / "real" / "one.yaml")
    async with following(path) as follower:
        assert await follower.port() == 1
        (tmp_path / "new").symlink_to("real/two.yaml")
        (tmp_path / "new").rename(path)
        assert await follower.port() == 2
        (tmp_path / "real" / "two.yaml").write_text(text(3))
        assert await follower.port() == 3


async def test_a_broken_save_is_named_and_the_next_good_one_given(tmp_path: Path) -> None:
    """Nothing ends."""
    path = tmp_path / "gateway.yaml"
    path.write_text(text(1))
    async with following(path) as follower:
        assert await follower.port() == 1
        path.write_text(text(0))
        assert await follower.refusal() == f"{path}:1:32: this has to be at least 1"
        path.write_text(text(2))
        assert await follower.port() == 2


async def test_the_same_text_is_not_given_again(tmp_path: Path) -> None:
    """Touched, or saved without a change."""
    path = tmp_path / "gateway.yaml"
    path.write_text(text(1))
    async with following(path) as follower:
        assert await follower.port() == 1
        following_one = asyncio.ensure_future(follower.port())
        for _ in range(3):
            path.touch()
            (tmp_path / "unrelated").write_text("x")
            await asyncio.sleep(0.05)
        assert not following_one.done()
        path.write_text(text(2))
        assert await following_one == 2


async def test_a_file_that_comes_later(tmp_path: Path) -> None:
    """Also when its folder does. There is nothing to watch until then, so it is looked for now and then."""
    path = tmp_path / "etc" / "gateway.yaml"
    async with following(path, poll=0.05) as follower:
        assert await follower.refusal() == f"{path}: the file cannot be read: No such file or directory"
        path.parent.mkdir()
        path.write_text(text(1))
        while isinstance((content := (await follower.loaded()).content), ConfigError):  # created, not yet written
            pass
        assert content.listeners[0].port == 1


async def test_a_file_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    """It is said; the one who listens keeps the last good document."""
    path = tmp_path / "gateway.yaml"
    path.write_text(text(1))
    async with following(path) as follower:
        assert await follower.port() == 1
        path.rename(tmp_path / "elsewhere")
        assert "No such file" in await follower.refusal()
        (tmp_path / "elsewhere").write_text(text(2))
        (tmp_path / "elsewhere").rename(path)
        assert await follower.port() == 2


async def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A pipe would be waited for for ever."""
    path = tmp_path / "gateway.yaml"
    os.mkfifo(path)
    async with following(path) as follower:
        assert await follower.refusal() == f"{path}: this is not a file"


async def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    """One byte more than allowed is enough to know."""
    path = tmp_path / "gateway.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    async with following(path) as follower:
        assert "larger than 4 MiB" in await follower.refusal()


async def test_following_stops_when_it_is_cancelled(tmp_path: Path) -> None:
    """At once, though no change comes."""
    path = tmp_path / "gateway.yaml"
    path.write_text(text(1))
    async with following(path) as follower:
        assert await follower.port() == 1
        waiting = asyncio.ensure_future(follower.loaded())
        await asyncio.sleep(0.05)
        waiting.cancel()
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(asyncio.CancelledError):
                await waiting


def test_links_that_go_round_in_circles_have_an_end(tmp_path: Path) -> None:
    """As the system itself ends them."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert folders_on_the_way(tmp_path / "a") == {tmp_path}


def test_every_folder_on_the_way_counts(tmp_path: Path) -> None:
    """Those of links to folders too."""
    (tmp_path / "releases" / "one").mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/one")
    assert folders_on_the_way(tmp_path / "current" / "gateway.yaml") == {tmp_path, tmp_path / "releases" / "one"}


@pytest.mark.parametrize("half_way", ["empty", "gone"])
async def test_a_file_that_is_being_written_gets_a_moment(tmp_path: Path, half_way: str) -> None:
    """What a save does in two steps is not given as two documents."""
    path = tmp_path / "gateway.yaml"
    if half_way == "empty":
        path.touch()
    reading = asyncio.ensure_future(FileSource(path, debounce=0.3)._read(previous=text(1).encode()))
    await asyncio.sleep(0.1)
    path.write_text(text(2))
    assert await reading == text(2).encode()


def write_parts(folder: Path, port: int) -> None:
    """The document in two files."""
    folder.mkdir(exist_ok=True)
    listeners, rest = text(port).split("\n", 1)
    (folder / "00-listeners.yaml").write_text(listeners)
    (folder / "10-rest.yml").write_text(rest)


async def test_the_files_of_a_folder_are_one_document(tmp_path: Path) -> None:
    """Hidden ones, others and folders inside are passed over; a change of any file is seen, a new file too."""
    folder = tmp_path / "conf.d"
    write_parts(folder, 1)
    (folder / ".hidden.yaml").write_text("nonsense: 1")
    (folder / "README.md").write_text("nonsense")
    (folder / "old.yaml").mkdir()
    async with following(folder) as follower:
        assert await follower.port() == 1
        (folder / "00-listeners.yaml").write_text("listeners: [{name: http, port: 2}]")
        assert await follower.port() == 2
        (folder / "20-more.yaml").write_text("routes: [{match: {path: /more}, upstream: 1}]")
        assert "20-more.yaml:1:43: expected text" in await follower.refusal()
        (folder / "20-more.yaml").unlink()
        assert await follower.port() == 2


async def test_a_folder_that_kubernetes_mounts_changes_at_once(tmp_path: Path) -> None:
    """A ConfigMap of several keys: every file is a link through ``..data``, and one rename changes them all."""
    mount = tmp_path / "mount"
    mount.mkdir()
    write_parts(mount / "..1", 1)
    (mount / "..data").symlink_to("..1")
    for name in ("00-listeners.yaml", "10-rest.yml"):
        (mount / name).symlink_to(f"..data/{name}")
    async with following(mount) as follower:
        assert await follower.port() == 1
        write_parts(mount / "..2", 2)
        (mount / "..data_tmp").symlink_to("..2")
        (mount / "..data_tmp").rename(mount / "..data")
        assert await follower.port() == 2


@pytest.mark.parametrize("broken", ["nothing", "a pipe"])
async def test_a_folder_without_a_document_says_so(tmp_path: Path, broken: str) -> None:
    """It is empty, or holds what is no file; it is followed all the same."""
    folder = tmp_path / "conf.d"
    folder.mkdir()
    if broken == "a pipe":
        os.mkfifo(folder / "x.yaml")
    async with following(folder) as follower:
        said = await follower.refusal()
        assert "x.yaml: this is not a file" in said or "there is no file in this folder" in said
        (folder / "x.yaml").unlink(missing_ok=True)
        write_parts(folder, 3)
        assert await follower.port() == 3
