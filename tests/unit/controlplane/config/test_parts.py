"""A document in several files means what one file would, and names mistakes in the file that has them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.config import ConfigError, load_document
from controlplane.config.parts import is_in_parts, join_parts

LISTENERS = b"listeners: [{name: http, port: 8000}]\n"
UPSTREAMS = b"upstreams:\n- name: echo\n  endpoints: ['http://127.0.0.1']\n"
ROUTES = b"routes:\n- {match: {path: /a}, upstream: echo}\n"
PROVIDER = (
    b"authentication: {%b: {jwt: {issuer: 'https://id.example', audiences: [a], jwks_uri: 'https://id.example/k'}}}"
)


def _wrong(*parts: tuple[str, bytes]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_document(join_parts(parts), origin="conf.d")
    return [f"{problem.where} {problem.code}" for problem in caught.value.problems]


def test_lists_are_appended_in_the_order_of_the_files() -> None:
    """And mappings of names united."""
    document = load_document(
        join_parts(
            [
                ("00.yaml", LISTENERS + PROVIDER % b"one"),
                ("10.yaml", UPSTREAMS + ROUTES),
                ("20.yaml", b"# nothing but a comment"),
                ("30.yaml", ROUTES.replace(b"/a", b"/b") + PROVIDER % b"two"),
            ]
        ),
        origin="conf.d",
    )
    assert [route.match.path for route in document.routes] == ["/a", "/b"]
    assert list(document.authentication) == ["one", "two"]


def test_a_mistake_is_named_in_its_own_file() -> None:
    """With the line there, also for what only the whole document shows."""
    assert _wrong(
        ("00.yaml", LISTENERS + UPSTREAMS),
        ("10.yaml", ROUTES),
        ("20.yaml", b"# a comment\n" + ROUTES.replace(b"echo", b"eco")),
        ("30.yaml", b"\n\n" + ROUTES + b"  timeout: soon\n"),
    ) == ["conf.d/30.yaml:5:3 syntax"]
    assert _wrong(
        ("00.yaml", LISTENERS + UPSTREAMS),
        ("10.yaml", ROUTES),
        ("20.yaml", b"# a comment\n" + ROUTES.replace(b"echo", b"eco")),
        ("30.yaml", b"\n\n" + ROUTES.replace(b"}, ", b"}, timeout: soon, ")),
    ) == ["conf.d/20.yaml:3:33 unknown-name", "conf.d/30.yaml:4:32 duration"]


def test_what_stands_in_two_files_is_refused() -> None:
    """A name, or a section of which there is one."""
    assert _wrong(
        ("00.yaml", LISTENERS + UPSTREAMS + ROUTES + PROVIDER % b"one" + b"\ndefaults: {timeout: 1s}\n"),
        ("10.yaml", PROVIDER % b"one" + b"\ndefaults: {timeout: 2s}\n"),
    ) == ["conf.d/10.yaml:1:18 duplicate-key", "conf.d/10.yaml:2:1 duplicate-key"]


def test_files_without_a_document_are_named() -> None:
    """Nothing in them, or not a mapping."""
    assert _wrong(("00.yaml", b"")) == ["conf.d empty"]
    assert "conf.d/00.yaml:1:1 type" in _wrong(("00.yaml", b"[1]"))


@given(
    st.lists(
        st.tuples(
            st.text("abc.-", min_size=1),
            st.one_of(st.binary(), st.sampled_from([LISTENERS, UPSTREAMS, ROUTES, b"routes: 1", b"--- # file: x\n"])),
        )
    )
)
def test_any_files_give_a_document_or_mistakes(parts: list[tuple[str, bytes]]) -> None:
    """Whatever is in them."""
    text = join_parts(parts)
    assert is_in_parts(text) is bool(parts)
    with suppress(ConfigError):
        load_document(text, origin="conf.d")
