"""Passing on what children write."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.supervisor.output import Lines, Output


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that the test reads."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def child_writes(lines: Lines, data: bytes) -> None:
    """What a child would do, and close."""
    os.write(lines.child_end, data)
    lines.child_started()


async def read_all(reader: int) -> bytes:
    """Everything until nothing has come for a while."""
    data = b""
    quiet = 0
    while quiet < 5:
        await asyncio.sleep(0.01)
        try:
            data += os.read(reader, 1 << 20)
            quiet = 0
        except BlockingIOError:
            quiet += 1
    return data


async def test_lines_of_two_children_do_not_mix(pipe: tuple[int, int]) -> None:
    """Half a line waits for its end while others go first."""
    with Output(pipe[1]) as output:
        one, other = Lines(output), Lines(output)
        os.write(one.child_end, b"half ")
        child_writes(other, b"whole\n")
        await asyncio.sleep(0.02)
        child_writes(one, b"a line\n")
        await asyncio.sleep(0.02)
        one.close()
        other.close()
    assert await read_all(pipe[0]) == b"whole\nhalf a line\n"


async def test_a_last_line_without_an_end_gets_one(pipe: tuple[int, int]) -> None:
    """A child that dies in the middle of a line does not eat the next one's beginning."""
    with Output(pipe[1]) as output:
        lines = Lines(output)
        child_writes(lines, b"Killed")
        lines.close()
    assert await read_all(pipe[0]) == b"Killed\n"
    assert lines.tail(5) == ["Killed"]


async def test_the_tail_has_the_last_lines() -> None:
    """Also when nobody is written to."""
    with Output(None) as output:
        lines = Lines(output)
        child_writes(lines, b"".join(b"line %d\n" % n for n in range(1000)))
        lines.close()
    assert lines.tail(2) == ["line 998", "line 999"]


async def test_a_reader_that_is_stuck_costs_lines_and_never_time(pipe: tuple[int, int]) -> None:
    """What is over the bound is dropped, newest first, and counted once there is room again."""
    line = b"x" * 1023 + b"\n"
    with Output(pipe[1], pending_limit=10 * 1024) as output:
        for _ in range(200):
            output.write(line)
        await asyncio.sleep(0.01)
        received = await read_all(pipe[0])
        output.write(b"after\n")
    received += await read_all(pipe[0])
    kept = received.count(line)
    assert 10 <= kept < 200
    assert b'"lines": %d' % (200 - kept) in received
    assert received.endswith(b"after\n")


async def test_a_reader_that_left_stops_nothing(pipe: tuple[int, int]) -> None:
    """`gateway up | head` goes on without its reader."""
    reader, writer = os.pipe()
    with Output(writer) as output:
        os.close(reader)
        output.write(b"nobody\n")
        output.write(b"reads\n")
    os.close(writer)


async def test_our_own_standard_output_stays_blocking(pipe: tuple[int, int]) -> None:
    """The flag belongs to the open file, which the shell shares."""
    with Output(pipe[1]):
        assert os.get_blocking(pipe[1])


async def test_files_and_sockets_are_written_to_as_well(tmp_path: Path) -> None:
    """A redirection, and the socket that a service manager gives."""
    ours, theirs = socket.socketpair()
    with (tmp_path / "log").open("wb") as file:
        for target in (file.fileno(), ours.fileno()):
            with Output(target) as output:
                output.write(b"line\n")
    assert (tmp_path / "log").read_bytes() == b"line\n"
    assert theirs.recv(100) == b"line\n"
    ours.close()
    theirs.close()


async def test_an_endless_line_is_cut(pipe: tuple[int, int]) -> None:
    """It must not fill the memory."""
    with Output(pipe[1]) as output:
        lines = Lines(output)
        for _ in range(10):
            os.write(lines.child_end, b"y" * 32 * 1024)
            await asyncio.sleep(0.005)
        lines.child_started()
        lines.close()
        received = await read_all(pipe[0])
    assert received.count(b"y") == 10 * 32 * 1024
    assert received.count(b"\n") >= 3
