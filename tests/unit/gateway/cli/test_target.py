"""Which gateway is asked, and whom a token is sent to."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.cli.context_file import Context, Contexts, context_path, write_contexts
from gateway.cli.target import DEFAULT_URL, find_target, of_context, read_token, stays_on_machine
from gateway.errors import CommandError


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with no gateway and a user with no settings."""
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("gateway.cli.target.RUN_FOLDERS", (str(tmp_path / "run"),))


def keep(current: str | None = None, **contexts: Context) -> None:
    """Write the file of contexts."""
    write_contexts(context_path(), Contexts(contexts=contexts, current=current))


def run_of_up(tmp_path: Path, name: str, *, url: str | None, made: int) -> None:
    """What ``gateway up`` leaves in its folder."""
    folder = tmp_path / "run" / f"gateway-up-{name}"
    folder.mkdir(parents=True)
    if url is not None:
        (folder / "admin-url").write_text(url)
    token = folder / "admin-token"
    token.write_text(f"token-{name}")
    os.utime(token, (made, made))


def test_the_nearest_word_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Option, environment, current context, newest run of this machine, default: in this order."""
    assert find_target(None).url == DEFAULT_URL
    run_of_up(tmp_path, "old", url="http://127.0.0.1:1", made=100)
    run_of_up(tmp_path, "new", url="http://127.0.0.1:2", made=200)
    assert (find_target(None).url, find_target(None).token.get_secret_value()) == ("http://127.0.0.1:2", "token-new")
    keep(
        "a",
        a=Context(url="https://a", token=SecretStr("token-a")),
        b=Context(url="https://b"),
        c=Context(url="https://c"),
    )
    assert (find_target(None).url, find_target(None).token.get_secret_value()) == ("https://a", "token-a")
    monkeypatch.setenv("GATEWAY_ADMIN_URL", "https://env")
    assert (find_target(None).url, find_target(None).token.get_secret_value()) == ("https://env", "")
    monkeypatch.setenv("GATEWAY_CONTEXT", "b")
    assert find_target(None).url == "https://b"
    assert find_target("c").url == "https://c"


def test_a_token_goes_only_where_it_belongs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's is not sent to a context, nor a run's to an address from the environment."""
    run_of_up(tmp_path, "x", url=None, made=1)
    assert find_target(None).token.get_secret_value() == "token-x"
    keep(a=Context(url="https://a"))
    monkeypatch.setenv("GATEWAY_ADMIN_TOKEN", "token-env")
    assert find_target("a").token.get_secret_value() == ""
    assert find_target(None).token.get_secret_value() == "token-env"
    monkeypatch.delenv("GATEWAY_ADMIN_TOKEN")
    monkeypatch.setenv("GATEWAY_ADMIN_URL", "https://other")
    assert find_target(None).token.get_secret_value() == ""


def test_a_context_that_is_not_there_names_those_that_are() -> None:
    """The option, and the file itself."""
    with pytest.raises(CommandError, match="there is no context 'x': there are none yet"):
        find_target("x")
    keep(a=Context(url="https://a"))
    with pytest.raises(CommandError, match="there is no context 'x': there are a"):
        find_target("x")


@pytest.mark.parametrize(
    ("url", "stays"),
    [
        ("http://127.0.0.1:8001", True),
        ("http://localhost", True),
        ("http://[::1]:8001/", True),
        ("unix:/run/admin.sock", True),
        ("http://10.0.0.1:8001", False),
        ("https://gateway.example/admin", False),
    ],
)
def test_what_stays_on_the_machine_is_known(url: str, stays: bool) -> None:
    """Loopback and Unix sockets."""
    assert stays_on_machine(url) is stays


@pytest.mark.parametrize(
    "url", ["", "gateway:8001", "ftp://x", "http://", "http://u:p@h", "http://h:99999", "unix:x", "//h"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """Passwords in it too: they would be shown."""
    with pytest.raises(CommandError, match="looks like"):
        stays_on_machine(url)


@given(st.text(max_size=40))
def test_other_addresses_are_refused_in_words(url: str) -> None:
    """Whatever is written."""
    with contextlib.suppress(CommandError):
        stays_on_machine(url)


def test_no_token_leaves_the_machine_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless somebody says that the network encrypts; without a token there is nothing to lose."""
    clear = Context(url="http://10.0.0.1:8001", token=SecretStr("s3cret"))
    with pytest.raises(CommandError, match="in clear") as error:
        of_context("a", clear)
    assert "s3cret" not in str(error.value)
    assert of_context("a", clear.model_copy(update={"insecure_network": True})).url == clear.url
    assert of_context("a", Context(url="http://10.0.0.1:8001")).url == clear.url
    monkeypatch.setenv("GATEWAY_ADMIN_URL", clear.url)
    monkeypatch.setenv("GATEWAY_ADMIN_TOKEN", "s3cret")
    with pytest.raises(CommandError, match="in clear"):
        find_target(None)
    monkeypatch.setenv("GATEWAY_INSECURE_NETWORK", "true")
    assert find_target(None).url == clear.url


def test_a_token_by_reference_is_read_when_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment or a file, without the line end that editors add."""
    monkeypatch.setenv("MY_TOKEN", "a")
    (tmp_path / "token").write_text("b\n")
    assert read_token("env:MY_TOKEN").get_secret_value() == "a"
    assert read_token(f"file:{tmp_path}/token").get_secret_value() == "b"
    assert read_token(None).get_secret_value() == ""


def test_a_reference_to_nothing_is_a_problem_in_words(tmp_path: Path) -> None:
    """And what is no token is not shown."""
    with pytest.raises(CommandError, match="the environment has no NOT_THERE"):
        read_token("env:NOT_THERE")
    with pytest.raises(CommandError, match="No such file"):
        read_token(f"file:{tmp_path}/none")
    (tmp_path / "binary").write_bytes(b"s3cret\xff")
    with pytest.raises(CommandError, match="this is no token") as error:
        read_token(f"file:{tmp_path}/binary")
    assert "s3cret" not in str(error.value)
    with pytest.raises(CommandError, match="characters that no token has") as error:
        of_context("a", Context(url="https://x", token=SecretStr("s3cret\r\nx: y")))
    assert "s3cret" not in str(error.value)
