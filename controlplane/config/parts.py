"""A document in several files: how they become one text, and one value whose mistakes are named in their own files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_origin

from controlplane.config.document import GatewayConfig
from controlplane.config.problems import ConfigError, Path, Places, Position, Problem, quoted
from controlplane.config.yaml_text import MAX_BYTES, Text, parse_yaml

MAX_PARTS = 1000

_MARK = re.compile(rb"^--- # file: ([^\r\n]+)\r?\n", re.MULTILINE)
"""At the beginning of a line, three hyphens always begin another YAML document: no value can hold this."""
_MAPPINGS = frozenset(
    name for name, about in GatewayConfig.model_fields.items() if get_origin(about.annotation) is dict
)
"""Sections that several files may add to by name."""


def join_parts(parts: Iterable[tuple[str, bytes]]) -> bytes:
    """One text that holds several files, each under a line with its name; a YAML stream of as many documents."""
    return b"".join(
        b"--- # file: %b\n%b%b" % (name.encode(), text, b"" if not text or text.endswith(b"\n") else b"\n")
        for name, text in parts
    )


def is_in_parts(source: bytes) -> bool:
    """Whether a text was made by :func:`join_parts`."""
    return _MARK.match(source) is not None


def split_parts(source: bytes) -> dict[str, bytes]:
    """The files that :func:`join_parts` made one, by name."""
    names, texts = _split(source)
    return dict(zip(names, texts, strict=True))


def parse_parts(source: bytes, *, origin: str) -> Text:
    """Read a text that was made by :func:`join_parts`: lists are appended to each other, mappings of names united.

    Raises:
        ConfigError: a file cannot be read at all, or the bounds of one document are passed.
    """
    names, texts = _split(source)
    if len(source) > MAX_BYTES or len(names) > MAX_PARTS:
        message = f"all files together have at most {MAX_BYTES // 1024 // 1024} MiB, and there are at most {MAX_PARTS}"
        raise ConfigError([Problem(path=(), code="too-large", message=message, origin=origin)])
    merged = _Merged(origin)
    broken: list[Problem] = []
    for name, text in zip(names, texts, strict=True):
        part_origin = f"{origin}/{name}"
        try:
            merged.add(parse_yaml(text, origin=part_origin), part_origin)
        except ConfigError as error:
            broken += [problem for problem in error.problems if problem.code != "empty"]
    if broken:
        raise ConfigError([*merged.problems, *broken])
    if not merged.data and not merged.problems:
        raise ConfigError([Problem(path=(), code="empty", message="the files hold no document", origin=origin)])
    return merged.finish()


def _split(source: bytes) -> tuple[list[str], list[bytes]]:
    pieces = _MARK.split(source)
    return [name.decode(errors="replace") for name in pieces[1::2]], pieces[2::2]


@dataclass(slots=True)
class _Merged:
    """What the files said so far."""

    origin: str
    data: dict[str, Any] = field(default_factory=dict)
    keys: dict[Path, Position] = field(default_factory=dict)
    values: dict[Path, Position] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, text: Text, origin: str) -> None:
        self.problems.extend(text.problems)
        if not isinstance(text.data, dict):
            self._refuse(text, (), "type", "expected a mapping of sections")
            return
        moved: dict[Path, Path] = {}
        for section, value in text.data.items():
            moved |= self._section(text, section, value)
        self.origins |= dict.fromkeys(moved.values(), origin)
        self.keys |= dict(_moved(text.places.keys, moved))
        self.values |= dict(_moved(text.places.values, moved))

    def finish(self) -> Text:
        return Text(self.data, Places(self.origin, self.keys, self.values, self.origins), tuple(self.problems))

    def _section(self, text: Text, section: str, value: Any) -> dict[Path, Path]:
        """Take one section in; return where its parts were in the file, and where they are now."""
        here = self.data.get(section)
        if here is None:
            self.data[section] = list(value) if isinstance(value, list) else value
            shift = 0
        elif isinstance(here, list) and isinstance(value, list):
            shift = len(here)
            here.extend(value)
        elif section in _MAPPINGS and isinstance(here, dict) and isinstance(value, dict):
            return self._named(text, section, here, value)
        else:
            self._refuse(text, (section,), "duplicate-key", f"the section {quoted(section)} stands in two files")
            return {}
        if isinstance(value, list):
            return {(section, index): (section, index + shift) for index in range(len(value))}
        if section in _MAPPINGS and isinstance(value, dict):
            self.data[section] = {}
            return self._named(text, section, self.data[section], value)
        return {(section,): (section,)}

    def _named(self, text: Text, section: str, here: dict[str, Any], value: dict[str, Any]) -> dict[Path, Path]:
        for name in here.keys() & value.keys():
            self._refuse(text, (section, name), "duplicate-key", f"{quoted(name)} stands in two files")
        new = {name: one for name, one in value.items() if name not in here}
        here.update(new)
        return {(section, name): (section, name) for name in new}

    def _refuse(self, text: Text, path: Path, code: str, message: str) -> None:
        problem = Problem(path=path, code=code, message=message, at_key=True)
        self.problems.append(text.places.locate(problem))


def _moved(places: Mapping[Path, Position], moved: Mapping[Path, Path]) -> Iterable[tuple[Path, Position]]:
    for path, position in places.items():
        for length in (1, 2):
            if path[:length] in moved:
                yield (*moved[path[:length]], *path[length:]), position
                break
