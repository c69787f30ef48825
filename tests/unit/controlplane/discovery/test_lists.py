"""Lists in files and at URLs: what counts as the same, and what is refused."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from controlplane.config.urls import check_list_url
from controlplane.discovery import DiscoveryError, ListOpener, Lists
from controlplane.discovery.targets import MAX_BYTES
from controlplane.model import TargetList
from servicekit.opened_folder import OpenedFolder
from tests.harness.ports import free_port
from tests.harness.target_lists import ListServer

LIST = b'[{"targets": ["10.0.0.1:80"]}]'


def opener(folder: Path | None) -> ListOpener:
    """Opens what is below ``folder``."""
    return ListOpener(OpenedFolder(folder, setting="GATEWAY_DISCOVERY_DIR"))


def file_list(folder: Path | None, name: str = "list") -> Lists:
    """A list in a file."""
    return opener(folder)(TargetList(kind="file", place=name))


async def test_a_file_is_read_when_it_changes(tmp_path: Path) -> None:
    """The same text is not news; a broken one is refused each time until it is whole."""
    (tmp_path / "list").write_bytes(LIST)
    found = file_list(tmp_path)
    first = await found.read()
    assert [one.host for one in first or ()] == ["10.0.0.1"]
    assert await found.read() is None
    (tmp_path / "list").write_bytes(b"[")
    for _ in range(2):
        with pytest.raises(DiscoveryError, match="neither"):
            await found.read()
    (tmp_path / "list").write_bytes(LIST)
    assert await found.read() == first


async def test_only_what_was_opened_is_read(tmp_path: Path) -> None:
    """Nothing outside of the folder, by no name and no link; nothing at all without a folder; nothing that hangs."""
    inside = tmp_path / "lists"
    inside.mkdir()
    (tmp_path / "outside").write_bytes(LIST)
    (inside / "link").symlink_to(tmp_path / "outside")
    os.mkfifo(inside / "pipe")
    for name, why in (
        ("link", "leads out"),
        ("../outside", "not the name"),
        ("none", "No such"),
        ("pipe", "not a file"),
    ):
        with pytest.raises(DiscoveryError, match=why):
            await file_list(inside, name).read()
    with pytest.raises(DiscoveryError, match="GATEWAY_DISCOVERY_DIR of this process is not set"):
        await file_list(None).read()


async def test_a_file_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    """Half of a list is a list, too: it counts when it stands still."""
    path = tmp_path / "list"
    path.write_bytes(b"- targets: ['10.0.0.1:80']\n")
    reading = asyncio.create_task(file_list(tmp_path).read())
    await asyncio.sleep(0.05)
    path.write_bytes(b"- targets: ['10.0.0.1:80', '10.0.0.2:80']\n")
    with pytest.raises(DiscoveryError, match="being written"):
        await reading


@pytest.fixture
def server() -> Iterator[ListServer]:
    """Has a list."""
    with ListServer(LIST) as server:
        yield server


@pytest.fixture
async def lists() -> AsyncIterator[ListOpener]:
    """Opens URLs."""
    made = opener(None)
    yield made
    await made.aclose()


def url_list(lists: ListOpener, url: str) -> Lists:
    """A list at a URL; it has half a second."""
    return lists(TargetList(kind="http", place=url, timeout=0.5))


@given(
    st.builds(
        "{}://{}{}{}{}".format,
        st.sampled_from(["http", "https", "HTTP"]),
        st.sampled_from(
            [
                "127.0.0.1",
                "[::1]",
                "localhost",
                "LOCALHOST",
                "a_b.example.com",
                "10.0.0.1",
                "a@b",
                "[::1%25x]",
                "[::1]x",
            ]
        )
        | st.text("a.-_:[]@\\\\%;,", max_size=8),
        st.sampled_from(["", ":80", ":0", ":", ":99999"]),
        st.sampled_from(["", "/", "\\\\@example.com", ";x@y", "%zz", "//"]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=8),
    )
)
def test_urls_are_understood_the_same_everywhere(url: str) -> None:
    """Who decides whether a URL stays on this machine and who connects to it see the same host."""
    try:
        check_list_url(url, allow_insecure=True)  # as URLs of endpoints and of keys
    except PydanticCustomError:
        return
    assert httpx.URL(url).host == urlsplit(url).hostname


async def test_a_url_is_asked_for_what_is_new(server: ListServer, lists: ListOpener) -> None:
    """With the tag of the last answer; a broken answer that has not changed is broken still."""
    found = url_list(lists, server.url)
    assert await found.read()
    assert await found.read() is None
    server.body = b"[oops]"
    for _ in range(2):
        with pytest.raises(DiscoveryError, match=r"\[0\]"):
            await found.read()
    server.body = LIST
    assert await found.read()
    assert server.answers == [200, 304, 200, 304, 200]


async def test_a_tag_that_is_none_is_not_sent(server: ListServer, lists: ListOpener) -> None:
    """What a server answers is not trusted to be a header of ours."""
    server.headers = {"etag": "\u00e4" * 3}
    found = url_list(lists, server.url)
    assert await found.read()
    assert await found.read() is None
    assert server.answers == [200, 200]


async def test_what_is_no_answer(server: ListServer, lists: ListOpener) -> None:
    """Too large, packed, somewhere else, a refusal, nobody: each has its words, and none repeats the URL."""
    found = url_list(lists, server.url)

    async def refused(why: str) -> None:
        with pytest.raises(DiscoveryError, match=why) as caught:
            await found.read()
        assert "127.0.0.1" not in str(caught.value)

    server.body = b" " * (MAX_BYTES + 1)
    await refused(f"more than {MAX_BYTES} bytes")
    server.body, server.headers = LIST, {"content-encoding": "gzip"}
    await refused("content encoding")
    server.headers, server.status = {"location": "http://127.0.0.1:1/"}, 302
    await refused("answered 302")
    server.status = 500
    await refused("answered 500")
    server.stop()
    await refused("no answer: ConnectError")


async def test_a_slow_answer(lists: ListOpener) -> None:
    """The deadline is for everything: an octet now and then does not stretch it."""

    gone = asyncio.Event()

    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.1)
        writer.close()
        gone.set()

    port = free_port()
    async with await asyncio.start_server(drip, "127.0.0.1", port):
        begun = time.monotonic()
        with pytest.raises(DiscoveryError, match=r"no answer within 0.5 s"):
            await url_list(lists, f"http://127.0.0.1:{port}/").read()
        assert time.monotonic() - begun < 2
        await asyncio.wait_for(gone.wait(), 2)
