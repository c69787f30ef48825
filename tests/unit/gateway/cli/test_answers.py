"""Whatever the admin API answers, a command ends in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.command import Done, command
from tests.harness.command_table import COMMANDS
from tests.harness.http_answers import Answered, Asked, http_answers

WORDS = """
    items before after groups changes resources outcome revision changed group waiting refused name value id types
    token count first_bad whole live desired canary rolled_back phase fields kind section path added removed text
    number created_at author origin message type_url synced counts warnings user_agent connected_since
    value issued_before ends_at withdrawn_at created_by reason before
    service sources error provider keys kid kty algorithms age usable last_error
"""
NAMES = st.sampled_from(WORDS.split())
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.text(max_size=5)
    | st.sampled_from(["applied", "added", "\x1b["]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=8),
    max_leaves=25,
)
SHOWING = {operation: words for operation, words in COMMANDS.items() if words not in (("events",), ("export",))}


class _Server:
    """Answers with what it was told last."""

    def __init__(self) -> None:
        self.value: Any = None

    def __call__(self, _: Asked) -> Answered:
        return Answered(body=json.dumps(self.value).encode())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[_Server, dict[str, str], str]]:
    """The server, how to reach it, and a document."""
    folder = tmp_path_factory.mktemp("answers")
    document = folder / "gateway.yaml"
    document.write_text("a: 1\n")
    answering = _Server()
    with http_answers(answering) as (url, _):
        yield answering, {"GATEWAY_ADMIN_URL": url, "XDG_CONFIG_HOME": str(folder)}, str(document)


@settings(max_examples=120)
@given(
    words=st.sampled_from(sorted(SHOWING.values())),
    output=st.sampled_from(["text", "json", "yaml"]),
    value=VALUES | st.dictionaries(NAMES, VALUES, min_size=5, max_size=20),
)
def test_an_answer_of_any_shape_is_shown_or_refused_in_words(
    server: tuple[_Server, dict[str, str], str], words: tuple[str, ...], output: str, value: object
) -> None:
    """No traceback, and nothing that the terminal would act on."""
    answering, env, document = server
    answering.value = value
    arguments = [document if word == "DOCUMENT" else word for word in words]
    if not {"revoke", "remove", "delete", "reset"} & set(words[1:3]):
        arguments += ["--output", output]
    done = command(*arguments, env=env)  # raises whatever is no problem in words
    assert done.code in (0, 1)
    if words[0] != "show":  # a document is printed as it was written
        assert all(character.isprintable() or character == "\n" for character in done.out + done.err)


def test_documents_are_printed_as_they_are_written(server: tuple[_Server, dict[str, str], str]) -> None:
    """Byte by byte where nobody looks, so that they can be applied again; what no file can hold is replaced."""
    answering, env, _ = server
    answering.value = {"text": "a: 'tab\tü\u2028'\n# end"}
    assert command("show", "1", env=env).out == "a: 'tab\tü\u2028'\n# end\n"
    answering.value = {"text": "\ud800\n"}
    assert command("show", "1", env=env).out == "?\n"


def test_an_export_without_its_end_is_none(tmp_path: Path) -> None:
    """What was there before stays."""
    file = tmp_path / "export.jsonl"
    file.write_text("old")
    for body in (b"", b'{"kind":"revision"}\n', b'{"kind":"end"}', b'{"kind":"end"}\n{"kind":"token"}\n', b"end\n"):
        done = _exported(body, file)
        assert (done.code, done.err) == (1, "gateway: the export broke off: what came is not whole\n")
        assert [one.read_text() for one in tmp_path.iterdir()] == ["old"]
    assert _exported(b'{"kind":"revision"}\n{"kind":"end"}\n', file).code == 0
    assert file.read_text().endswith('{"kind":"end"}\n')


def _exported(body: bytes, file: Path) -> Done:
    with http_answers(lambda _: Answered(body=body)) as (url, _):
        return command("export", str(file), env={"GATEWAY_ADMIN_URL": url})
