"""What is wrong with a document: problems, where they stand, and the one error that carries all of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

Path = tuple[str | int, ...]
"""The way to a value: keys of mappings and indexes of lists, from the root."""

MAX_LISTED = 200
"""Problems of one document that are explained; a hostile one could have millions."""

_TEXT_SHOWN = 60
_MAX_COMPARED = 1000


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a text; both numbers begin at 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a document."""

    path: Path
    code: str
    """A short stable word for machines."""
    message: str
    """One sentence part for people. Never a value that could be a secret."""
    hint: str | None = None
    """What to do about it."""
    at_key: bool = False
    """Whether the key is at fault, and not its value."""
    origin: str = ""
    """The document, usually a file name."""
    position: Position | None = None

    @property
    def where(self) -> str:
        """``file:line:column``; without a position, the file and the path inside the document."""
        if self.position is not None:
            return f"{self.origin}:{self.position.line}:{self.position.column}"
        return ": ".join(part for part in (self.origin, path_text(self.path)) if part)

    def __str__(self) -> str:
        text = ": ".join(part for part in (self.where, self.message) if part)
        return f"{text} ({self.hint})" if self.hint else text


@dataclass(frozen=True, slots=True)
class Places:
    """Where the keys and values of one document stand in its text."""

    origin: str = ""
    keys: Mapping[Path, Position] = field(default_factory=lambda: MappingProxyType({}))
    values: Mapping[Path, Position] = field(default_factory=lambda: MappingProxyType({}))
    origins: Mapping[Path, str] = field(default_factory=lambda: MappingProxyType({}))
    """Of a document in several files: which section, or which member of one, stands in which file."""

    def locate(self, problem: Problem) -> Problem:
        """The problem with its origin and position; a value that is not there stands where its parent does."""
        return replace(problem, origin=self._origin(problem.path), position=self._position(problem))

    def _origin(self, path: Path) -> str:
        return self.origins.get(path[:2]) or self.origins.get(path[:1]) or self.origin

    def _position(self, problem: Problem) -> Position | None:
        if problem.at_key and problem.path in self.keys:
            return self.keys[problem.path]
        for length in range(len(problem.path), -1, -1):
            if problem.path[:length] in self.values:
                return self.values[problem.path[:length]]
        return problem.position


class ConfigError(Exception):
    """A document has mistakes; all that could be found are named, up to :data:`MAX_LISTED`."""

    def __init__(self, problems: Iterable[Problem], *, unlisted: int = 0) -> None:
        found = sorted(problems, key=_order)
        self.problems = tuple(found[:MAX_LISTED])
        self.unlisted = unlisted + len(found) - len(self.problems)
        """How many more there are."""
        super().__init__(self.problems)

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems]
        if self.unlisted:
            lines.append(f"… and {self.unlisted} more")
        return "\n".join(lines)


def path_text(path: Path) -> str:
    """A path as people write it: ``routes[1].upstream``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def quoted(text: str) -> str:
    """A name from the document as a message shows it: quoted, on one line, clipped."""
    clipped = text if len(text) <= _TEXT_SHOWN else f"{text[:_TEXT_SHOWN]}…"
    return repr(clipped)


def did_you_mean(word: str, options: Iterable[str]) -> str | None:
    """The option that is spelt most like ``word``, if one is near enough to be meant."""
    known = list(options)
    if len(known) > _MAX_COMPARED:
        return None
    return next(iter(difflib.get_close_matches(word[:_TEXT_SHOWN], known, n=1)), None)


def suggestion(word: str, options: Iterable[str]) -> str | None:
    """A hint for a name that is not among ``options``."""
    known = sorted(options)
    meant = did_you_mean(word, known)
    if meant is not None:
        return f"did you mean {quoted(meant)}?"
    if not known:
        return None
    shown = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    return f"known: {shown}"


def _order(problem: Problem) -> tuple[str, Position, str, str]:
    return (problem.origin, problem.position or Position(0, 0), path_text(problem.path), problem.code)
