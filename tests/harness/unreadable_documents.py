"""Documents that are wrong as texts: broken YAML, other encodings, and what YAML can do and a document may not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controlplane.config.yaml_text import MAX_ALIASES, MAX_BYTES, MAX_DEPTH
from tests.harness.written_lines import Written
from tests.harness.wrong_documents import Wrong

_ADDED: dict[str, bytes] = {
    "unknown alias": b"more: *nowhere",
    "merge key": b"<<: {port: 1}",
    "tag": b"more: !!python/object/apply:os.system [ls]",
    "complex key": b"? [a, b]",
    "not UTF-8": b"more: \xff\xfe",
    "control character": b"more: \x07",
    "unclosed text": b'more: "text',
    "unclosed list": b"more: [1, 2",
    "unclosed mapping": b"more: {a: 1",
    "second colon": b"more: a: b",
    "no such escape": b'more: "\\q"',
    "reserved character": b"more: @text",
    "directive": b"%YAML 9.9",
    "second document": b"---\nmore: 1",
    "text between": b"just text",
    "too deep": b"more: " + b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2),
}
"""Lines that are added to a right document."""


def unreadable_documents(data: dict[str, Any]) -> Iterator[Wrong]:
    """Every way in which the text of a right document is spoilt."""
    lines = Written(data).text.encode().splitlines()
    end = len(lines) + 1
    for kind, line in _ADDED.items():
        last = end + line.count(b"\n")
        # What is never closed shows where it begins, or where the text ends.
        yield Wrong(kind, "the end", b"\n".join([*lines, line, b""]), frozenset({end, last, last + 1}))
    for number, line in enumerate(lines, start=1):
        yield from _spoilt(lines, number, line)
    yield from _whole(lines)


def _spoilt(lines: list[bytes], number: int, line: bytes) -> Iterator[Wrong]:
    """One line spoilt."""
    indented = line.startswith(b" ")
    spoilt = {
        "not UTF-8": line + b" \xc3\x28",
        "control character": line + b"\x00",
        "carriage control": line + b"\x1b",
    }
    if indented:
        spoilt["tab"] = b"\t" + line.lstrip()
    for kind, bad in spoilt.items():
        text = b"\n".join([*lines[: number - 1], bad, *lines[number:], b""])
        # A tab may end what was begun on the line before.
        yield Wrong(kind, f"line {number}", text, frozenset({number, number - 1} if kind == "tab" else {number}))


def _whole(lines: list[bytes]) -> Iterator[Wrong]:
    text = b"\n".join([*lines, b""])
    bomb = [b"a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    bomb += [b"a%d: &a%d [%s]" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 9)]
    first = frozenset({1})
    yield Wrong("alias bomb", "the whole", b"\n".join([*bomb, text]), frozenset(range(1, len(bomb) + 1)))
    aliases = [b"a: &a 1", b"b: [" + b", ".join([b"*a"] * (MAX_ALIASES + 1)) + b"]"]
    yield Wrong("too many aliases", "the whole", b"\n".join([*aliases, text]), frozenset({2}))
    yield Wrong("an alias to itself", "the whole", b"a: &a [*a]\n" + text, first)
    yield Wrong("UTF-16", "the whole", text.decode().encode("utf-16"), first)
    yield Wrong("a list", "the whole", b"- " + b"\n  ".join(lines), first)
    yield Wrong("text", "the whole", b"listeners", first)
    yield Wrong("several documents", "the whole", text + b"---\n" + text, frozenset({len(lines) + 1, len(lines) + 2}))
    for kind, nothing in (("empty", b""), ("a comment", b"# nothing\n"), ("no value", b"~\n"), ("a mapping", b"{}")):
        yield Wrong(kind, "the whole", nothing, frozenset({0, 1}))
    yield Wrong("too large", "the whole", b"#" * MAX_BYTES + b"\n" + text, frozenset({0}))
