"""Waiting for nodes before a terminal, and ending that by Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.http_answers import Answered, Asked, http_answers


@contextmanager
def slow_server(done: threading.Event) -> Iterator[str]:
    """A control plane that answers a write when ``done`` is set."""

    def answer(asked: Asked) -> Answered:
        if asked.method == "PUT":
            done.wait(20)
            body = {"revision": 7, "digest": "d", "changed": True, "outcome": "applied", "groups": []}
            return Answered(body=json.dumps(body).encode())
        groups = [{"name": "edge\x1b[31m", "waiting": ["envoy-1"], "canary": None}]
        return Answered(body=json.dumps({"groups": groups}).encode())

    with http_answers(answer) as (url, _):
        try:
            yield url
        finally:
            done.set()


def start_apply(url: str, folder: Path, stderr: int) -> subprocess.Popen[bytes]:
    """``gateway apply`` as its own process."""
    document = folder / "gateway.yaml"
    document.write_text("a: 1\n")
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "gateway", "apply", str(document)],
        env=os.environ | {"GATEWAY_ADMIN_URL": url, "TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=stderr,
    )


def read_until(fd: int, words: bytes) -> bytes:
    """Everything up to ``words``; the test's time-out is the deadline."""
    read = b""
    while words not in read:
        piece = os.read(fd, 4096)
        assert piece, read
        read += piece
    return read


def test_a_terminal_shows_how_far_the_nodes_are(tmp_path: Path) -> None:
    """On one line that moves, with nothing of a node's name that would."""
    done = threading.Event()
    terminal, its_side = pty.openpty()
    try:
        with slow_server(done) as url:
            process = start_apply(url, tmp_path, its_side)
            shown = read_until(terminal, b"1 to go")
            done.set()
            out, _ = process.communicate(timeout=20)
    finally:
        os.close(terminal)
        os.close(its_side)
    assert process.returncode == 0
    assert out.startswith(b"revision 7: applied")
    assert b"waiting for the nodes: edge [31m" in shown


def test_ctrl_c_ends_the_waiting_at_once_and_says_what_goes_on(tmp_path: Path) -> None:
    """Status 130; not after the minutes for which the server waits."""
    reading, writing = os.pipe()
    try:
        with slow_server(threading.Event()) as url:
            process = start_apply(url, tmp_path, writing)
            read_until(reading, b"1 to go")
            process.send_signal(signal.SIGINT)
            said = read_until(reading, b"what becomes of it")
            assert process.wait(10) == 130
    finally:
        os.close(reading)
        os.close(writing)
        assert process.stdout is not None
        process.stdout.close()
    assert b"nobody waits any longer; the change itself goes on" in said
