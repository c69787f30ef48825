"""The file of contexts: private, whole, and read with care."""

from __future__ import annotations

import contextlib
import stat
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.cli.context_file import (
    LARGEST,
    Context,
    Contexts,
    context_path,
    parse_contexts,
    read_contexts,
    write_contexts,
)
from gateway.errors import CommandError

NAME = st.text(string.ascii_letters + string.digits, min_size=1, max_size=10)
CONTEXT = st.builds(
    Context,
    url=st.text(min_size=1, max_size=30).filter(lambda url: url.isprintable()),
    token=st.none() | st.text(min_size=1, max_size=10).map(SecretStr),
    token_from=st.none() | st.just("env:TOKEN"),
    ca=st.none() | st.just(Path("/ca.crt")),
    insecure_network=st.booleans(),
)


@given(st.dictionaries(NAME, CONTEXT, max_size=4))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, contexts: dict[str, Context]) -> None:
    """Tokens too, and which is current."""
    path = tmp_path_factory.mktemp("contexts") / "gateway" / "contexts.json"
    written = Contexts(contexts=contexts, current=next(iter(contexts), None))
    write_contexts(path, written)
    assert read_contexts(path) == written


@given(st.binary(max_size=100) | st.text(max_size=100).map(str.encode))
def test_other_content_is_refused_in_words(text: bytes) -> None:
    """Whatever is in the file, it is contexts or one clear error."""
    with contextlib.suppress(CommandError):
        parse_contexts(text, Path("contexts.json"))


@pytest.mark.parametrize(
    "text",
    [
        b'{"contexts": {"a": {"url": "x", "token": ["s3cret"]}}}',
        b'{"contexts": {"a": {"url": "x", "token_from": "s3cret"}}}',
        b'{"contexts": {"a": {"url": "x", "tokn": "s3cret"}}}',
        b'{"contexts": {"a": {"url": "x", "token": "s3cret"',
        b'{"contexts": {}, "current": "gone"}',
        b"[]",
        b" " * (LARGEST + 1),
    ],
)
def test_a_wrong_file_is_named_and_not_quoted(text: bytes) -> None:
    """It may hold tokens."""
    with pytest.raises(CommandError, match=r"contexts\.json|there is no context") as error:
        parse_contexts(text, Path("contexts.json"))
    assert "s3cret" not in str(error.value)


def test_only_its_user_reads_it(tmp_path: Path) -> None:
    """The file and the folder that is made for it."""
    path = tmp_path / "config" / "gateway" / "contexts.json"
    write_contexts(path, Contexts(contexts={"a": Context(url="http://x", token=SecretStr("t"))}))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["contexts.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_reach_is_not_used(tmp_path: Path, mode: int) -> None:
    """They could read tokens, or send ours elsewhere."""
    path = tmp_path / "contexts.json"
    write_contexts(path, Contexts())
    path.chmod(mode)
    with pytest.raises(CommandError, match="chmod 600"):
        read_contexts(path)


def test_a_file_that_cannot_be_replaced_stays(tmp_path: Path) -> None:
    """No half-written file, nothing left beside it."""
    path = tmp_path / "contexts.json"
    path.mkdir()
    with pytest.raises(CommandError, match=r"contexts\.json: Is a directory"):
        write_contexts(path, Contexts())
    assert [file.name for file in tmp_path.iterdir()] == ["contexts.json"]


def test_it_stands_where_xdg_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path there is ignored, as the specification demands."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "/c")
    assert context_path() == Path("/c/gateway/contexts.json")
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/ann")
    assert context_path() == Path("/home/ann/.config/gateway/contexts.json")
