"""What people read when a gateway is up."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import CommandError
from gateway.up.announcement import Announcement, render
from gateway.up.document import read_outline, without_document
from gateway.up.settings import UpSettings
from servicekit.settings import load_settings

DOCUMENT = """
listeners:
  - {name: web, port: 8000, address: 0.0.0.0}
upstreams: [{name: echo, endpoints: ["http://127.0.0.1:8048"]}]
authentication:
  demo: {jwt: {issuer: "http://127.0.0.1:8049", audiences: [a], jwks_uri: "http://127.0.0.1:8049/jwks"}}
routes:
  - {match: {path_regex: "/never/[0-9]+"}, upstream: echo}
  - {match: {path_prefix: /hidden, methods: [POST]}, upstream: echo}
  - {match: {path_prefix: /elsewhere, hosts: [example.com]}, upstream: echo}
  - {match: {path: /open}, upstream: echo}
  - {match: {path_prefix: /api/}, upstream: echo, authenticate: [demo]}
"""


def announced(text: str, tmp_path: Path, *, demo: bool = True) -> str:
    """What is said of a document."""
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    settings = load_settings(UpSettings)
    return render(
        Announcement(
            settings=settings,
            outline=read_outline(file, settings.listen_address),
            demo=demo,
            token_file=Path("/run/token"),
            command="gateway",
        ),
        seconds=2.34,
    )


def test_lines_to_paste_fit_the_document(tmp_path: Path) -> None:
    """Paths that a plain curl can reach, and a listener on all addresses by one that works."""
    text = announced(DOCUMENT, tmp_path)
    assert "The gateway is up (2.3 s)." in text
    assert "curl -i http://127.0.0.1:8000/open\n" in text
    assert 'curl -i -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8000/api/hello\n' in text
    assert "TOKEN=$(gateway demo token --sub alice)\n" in text
    assert "admin token             /run/token\n" in text


def test_without_the_demo_there_is_no_token_to_get(tmp_path: Path) -> None:
    """Who has an identity provider knows how to ask it."""
    text = announced(DOCUMENT, tmp_path, demo=False)
    assert "TOKEN" not in text
    assert "demo" not in text


def test_without_a_document_the_one_listener_is_shown() -> None:
    """And any path is the backend's."""
    settings = load_settings(UpSettings)
    outline = without_document("127.0.0.1", 8123)
    text = render(
        Announcement(settings=settings, outline=outline, demo=False, token_file=None, command="gateway"), seconds=1
    )
    assert "curl -i http://127.0.0.1:8123/hello\n" in text
    assert "admin token" not in text


def test_a_document_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """With the system's reason."""
    with pytest.raises(CommandError, match=r"missing\.yaml: the file cannot be read: No such file or directory"):
        read_outline(tmp_path / "missing.yaml", "127.0.0.1")
