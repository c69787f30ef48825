"""Secrets by reference: only what was opened, and nothing of it in an error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.secret_reference import (
    MAX_SECRET_BYTES,
    SecretReferenceError,
    Secrets,
    opened_secrets,
    parse_reference,
)

SECRET = "hunter2-hunter2"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The directory of secrets, with something outside of it."""
    made = tmp_path / "secrets"
    made.mkdir()
    (tmp_path / "outside").write_text(SECRET)
    return made


def of_files(folder: Path | None) -> Secrets:
    """Files alone."""
    return Secrets(environment={}, directory=folder)


@pytest.mark.parametrize(
    "text", ["env:GATEWAY_SECRET_A", "env:GATEWAY_SECRET_a_1", "file:a", "file:a/b.pem", "file:.a"]
)
def test_references(text: str) -> None:
    """Written and read again."""
    assert str(parse_reference(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        SECRET, "", "env:", "env:PATH", "env:GATEWAY_SECRET_", "env:GATEWAY_SECRET_A B", "env:GATEWAY_ADMIN_TOKEN",
        "env:gateway_secret_a", "file:", "file:/etc/passwd", "file:../a", "file:a/../../b", "file:a/..", "file:.",
        "file:./a", "file:a//b", "file:a/", "file:..data/a", "file:a\n", "file:a\0", "file:ä", "File:a", "http://x",
        "file:" + "a" * 300,
    ],
)  # fmt: skip
def test_what_is_no_reference_is_not_repeated(text: str) -> None:
    """It may be a secret that somebody wrote where its name belongs."""
    with pytest.raises(SecretReferenceError) as caught:
        parse_reference(text)
    assert SECRET not in str(caught.value)


@given(
    st.one_of(st.text(), st.text().map("env:{}".format), st.text(alphabet="./ab\0", max_size=12).map("file:{}".format))
)
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but the parser's own error, and no path that could leave the directory."""
    try:
        reference = parse_reference(text)
    except SecretReferenceError:
        return
    assert str(reference) == text
    if reference.kind == "file":
        assert Path(os.path.normpath(f"/secrets/{reference.name}")).is_relative_to("/secrets")
        assert os.path.normpath(reference.name) == reference.name
    else:
        assert reference.name.startswith("GATEWAY_SECRET_")


def test_variables() -> None:
    """One that is there, one that is not, and one that is empty."""
    secrets = Secrets(environment={"GATEWAY_SECRET_A": SECRET, "GATEWAY_SECRET_B": ""}, directory=None)
    assert secrets.resolve("env:GATEWAY_SECRET_A") == SECRET.encode()
    with pytest.raises(SecretReferenceError, match="GATEWAY_SECRET_C: this process has no such"):
        secrets.resolve("env:GATEWAY_SECRET_C")
    with pytest.raises(SecretReferenceError, match="empty"):
        secrets.resolve("env:GATEWAY_SECRET_B")


def test_the_environment_comes_before_the_file_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with every setting; dollars in it mean nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEWAY_SECRET_BOTH", "environment")
    Path(".env").write_text("GATEWAY_SECRET_BOTH=file\nGATEWAY_SECRET_ONE=a${HOME}b\n")
    secrets = opened_secrets(None)
    assert secrets.resolve("env:GATEWAY_SECRET_BOTH") == b"environment"
    assert secrets.resolve("env:GATEWAY_SECRET_ONE") == b"a${HOME}b"


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"text", b"text"),
        (b"text\n", b"text"),
        (b"text\r\n", b"text"),
        (b" text \n", b" text "),
        (b"two\nlines\n", b"two\nlines\n"),
        (b"\xff\x00\n", b"\xff\x00\n"),
    ],
)
def test_the_line_end_of_a_text_is_left_out(content: bytes, secret: bytes, folder: Path) -> None:
    """One of one line only; octets that are no text stay."""
    (folder / "a").write_bytes(content)
    assert of_files(folder).resolve("file:a") == secret


def test_links_as_kubernetes_makes_them_work(folder: Path) -> None:
    """A name that points through ``..data`` at the folder of the day, which another replaces."""
    for day, text in (("..one", "first"), ("..two", "second")):
        (folder / day).mkdir()
        (folder / day / "key").write_text(text)
    (folder / "..data").symlink_to("..one")
    (folder / "key").symlink_to("..data/key")
    assert of_files(folder).resolve("file:key") == b"first"
    (folder / "..next").symlink_to("..two")
    (folder / "..next").rename(folder / "..data")
    assert of_files(folder).resolve("file:key") == b"second"


@pytest.mark.parametrize("target", ["../outside", "/etc/hostname", "loop"])
def test_no_link_leads_out(target: str, folder: Path) -> None:
    """Not up, not to an absolute path, and not in a circle."""
    (folder / "loop").symlink_to(target)
    with pytest.raises(SecretReferenceError, match="file:loop: ") as caught:
        of_files(folder).resolve("file:loop")
    assert SECRET not in str(caught.value)


def test_only_files_are_read(folder: Path) -> None:
    """No folder, no pipe that would wait for a writer, nothing that is not there, and not more than the bound."""
    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "big").write_bytes(b"\0" * (MAX_SECRET_BYTES + 1))
    (folder / "most").write_bytes(b"\0" * MAX_SECRET_BYTES)
    reasons = {"sub": "not a file", "pipe": "not a file", "big": "more than", "none": "No such", "most/below": "Not a"}
    for name, why in reasons.items():
        with pytest.raises(SecretReferenceError, match=f"file:{name}: {why}"):
            of_files(folder).resolve(f"file:{name}")
    assert len(of_files(folder).resolve("file:most")) == MAX_SECRET_BYTES


def test_nothing_is_left_open(folder: Path) -> None:
    """What is read every second must not cost a descriptor each time, whatever is there."""
    (folder / "sub").mkdir()
    open_now = Path("/proc/self/fd")
    before = len(list(open_now.iterdir()))
    for _ in range(5):
        with pytest.raises(SecretReferenceError):
            of_files(folder).resolve("file:sub")
    assert len(list(open_now.iterdir())) == before


def test_without_a_directory_no_file_is_named() -> None:
    """The error says which setting opens one."""
    with pytest.raises(SecretReferenceError, match="GATEWAY_SECRETS_DIR"):
        of_files(None).resolve("file:a")
