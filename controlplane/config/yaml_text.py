"""YAML (or JSON, its subset) to plain data with the position of every key and value.

Built from the parser's events and not from its objects: nothing recurses, so the depth of a hostile text costs no
stack; keys stay text as written; and an alias costs what it would expand to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from controlplane.config.problems import ConfigError, Path, Places, Position, Problem, quoted
from controlplane.config.scalars import plain_scalar

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 400_000
"""Values in one document, those that aliases repeat included."""
MAX_ALIASES = 1000
LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What the parser counts as one."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # YAML 1.2 §5.1


@dataclass(frozen=True, slots=True)
class Text:
    """What a text says, where it says it, and what is wrong with it short of being unreadable."""

    data: Any
    places: Places
    problems: tuple[Problem, ...]


def parse_yaml(source: bytes, *, origin: str) -> Text:
    """Read one YAML document.

    Raises:
        ConfigError: the text cannot be read at all: it is not UTF-8, not YAML, or beyond one of the bounds above.
    """
    try:
        text = _decode(source, origin)
    except _UnreadableError as error:
        raise ConfigError([error.problem]) from None
    builder = _Builder(origin, _end_of(text))
    try:
        for event in _events(text, origin):
            builder.take(event)
    except _UnreadableError as error:
        raise ConfigError([*builder.problems, error.problem]) from None
    return builder.finish()


class _UnreadableError(Exception):
    """Reading cannot go on."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not been seen."""

    value: dict[str, Any] | list[Any]
    path: Path
    anchor: str | None
    begun_at: int
    """Values seen before this one."""
    key: str | None = None
    seen: set[str] = field(default_factory=set)

    @property
    def wants_key(self) -> bool:
        return isinstance(self.value, dict) and self.key is None

    @property
    def next_path(self) -> Path:
        step = self.key if isinstance(self.value, dict) else len(self.value)
        return self.path if step is None else (*self.path, step)


class _Builder:
    """Takes events, grows data."""

    def __init__(self, origin: str, end: Position) -> None:
        self.problems: list[Problem] = []
        self._origin = origin
        self._end = end
        self._keys: dict[Path, Position] = {}
        self._values: dict[Path, Position] = {}
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._documents = 0
        self._nodes = 0
        self._aliases = 0
        self._root: Any = None

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._open(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._close()
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self._unreadable(event, "several-documents", "one file holds one document; this is a second one")

    def finish(self) -> Text:
        if self._root is None and not self.problems:
            problem = Problem(path=(), code="empty", message="the document is empty", origin=self._origin)
            raise ConfigError([problem])
        return Text(self._root, Places(self._origin, self._keys, self._values), tuple(self.problems))

    def _scalar(self, event: Any) -> None:
        if self._stack and self._stack[-1].wants_key:
            self._take_key(event)
            return
        path = self._begin(event)
        value = plain_scalar(event.value) if event.implicit[0] else event.value
        if value is None and path:
            self._problem(event, path, "no-value", "there is no value here", "write one, or leave it out", at_key=True)
        self._remember(event.anchor, value, 1)
        self._attach(value)

    def _take_key(self, event: Any) -> None:
        parent = self._stack[-1]
        parent.key = event.value
        path = parent.next_path
        if event.value in parent.seen:
            self._problem(event, path, "duplicate-key", f"the key {quoted(event.value)} stands here twice", None)
        parent.seen.add(event.value)
        self._keys[path] = self._position(event)

    def _open(self, event: Any) -> None:
        path = self._begin(event)
        if len(self._stack) >= MAX_DEPTH:
            raise self._unreadable(event, "too-deep", f"values are nested more than {MAX_DEPTH} deep")
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._stack.append(_Open(value, path, event.anchor, self._nodes - 1))

    def _close(self) -> None:
        closed = self._stack.pop()
        self._remember(closed.anchor, closed.value, self._nodes - closed.begun_at)
        self._attach(closed.value)

    def _alias(self, event: Any) -> None:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise self._unreadable(event, "too-many-aliases", f"there are more than {MAX_ALIASES} aliases")
        if event.anchor not in self._anchors:
            raise self._unreadable(
                event, "unknown-alias", f"the alias *{event.anchor} names nothing that is complete before it"
            )
        value, size = self._anchors[event.anchor]
        self._begin(event, size)
        self._attach(value)

    def _begin(self, event: Any, size: int = 1) -> Path:
        """Count a value, remember where it stands, and return its path."""
        parent = self._stack[-1] if self._stack else None
        if parent is not None and parent.wants_key:
            raise self._unreadable(event, "complex-key", "a key has to be plain text")
        path = parent.next_path if parent is not None else ()
        self._values[path] = self._position(event)
        self._nodes += size
        if self._nodes > MAX_NODES:
            raise self._unreadable(event, "too-large", f"there are more than {MAX_NODES} values, aliases expanded")
        if getattr(event, "tag", None) not in (None, "!"):
            self._problem(event, path, "tag", "YAML tags have no meaning here", "for text, use quotes")
        return path

    def _attach(self, value: Any) -> None:
        if not self._stack:
            self._root = value
            return
        parent = self._stack[-1]
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.key is not None:
            if value is not None:
                parent.value[parent.key] = value
            parent.key = None

    def _remember(self, anchor: str | None, value: Any, size: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = (value, size)

    def _problem(
        self, event: Any, path: Path, code: str, message: str, hint: str | None, *, at_key: bool = False
    ) -> None:
        position = self._keys.get(path) if at_key else None
        self.problems.append(
            Problem(
                path=path,
                code=code,
                message=message,
                hint=hint,
                at_key=at_key,
                origin=self._origin,
                position=position or self._position(event),
            )
        )

    def _unreadable(self, event: Any, code: str, message: str) -> _UnreadableError:
        return _UnreadableError(
            Problem(path=(), code=code, message=message, origin=self._origin, position=self._position(event))
        )

    def _position(self, event: Any) -> Position:
        """Where a value or key begins; what the parser makes up at the end of the text stands at its end."""
        return min(Position(event.start_mark.line + 1, event.start_mark.column + 1), self._end)


def _decode(source: bytes, origin: str) -> str:
    if len(source) > MAX_BYTES:
        message = f"the document is larger than {MAX_BYTES // 1024 // 1024} MiB"
        raise _UnreadableError(Problem(path=(), code="too-large", message=message, origin=origin))
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = error.object[: error.start].decode()
        raise _UnreadableError(_syntax("the text is not UTF-8", origin, _end_of(good))) from None
    found = _UNPRINTABLE.search(text)
    if found is not None:
        message = f"the character U+{ord(found[0]):04X} may not stand in YAML"
        raise _UnreadableError(_syntax(message, origin, _end_of(text[: found.start()])))
    return text


def _events(text: str, origin: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        what = " ".join(part for part in (error.context, error.problem) if part) or "the text cannot be read"
        raise _UnreadableError(_syntax(f"not YAML: {what}", origin, _position_of(error, text))) from None
    except yaml.YAMLError as error:
        raise _UnreadableError(_syntax(f"not YAML: {error}", origin, None)) from None


def _syntax(message: str, origin: str, position: Position | None) -> Problem:
    return Problem(path=(), code="syntax", message=message, origin=origin, position=position)


def _position_of(error: yaml.MarkedYAMLError, text: str) -> Position:
    """Where the problem is; for one that shows only at the end of the text, where it begins."""
    end = _end_of(text)
    for mark in (error.problem_mark, error.context_mark):
        if mark is not None and Position(mark.line + 1, mark.column + 1) < end:
            return Position(mark.line + 1, mark.column + 1)
    return end


def _end_of(text: str) -> Position:
    lines = LINE_BREAK.split(text)
    return Position(len(lines), len(lines[-1]) + 1)
