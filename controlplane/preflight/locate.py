"""Which part of a document Envoy means: found by leaving parts out and asking again. Pure, but for asking.

Envoy says what is wrong in words of its own, without a place. A part is at fault when the document is refused with it
and taken without it; that is looked for from whole sections down to the single value.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from controlplane.config import GatewayConfig, Problem
from controlplane.config.problems import Path
from controlplane.preflight.parts import Part, Reduced, Step, at, parts, texts, without

Ask = Callable[[GatewayConfig], str | None]
"""Envoy's words against a document; the empty text when it takes it; ``None`` when the document makes no sense, as one
may from which something was left out. Raises :class:`OutOfTimeError` when nobody can be asked any more."""

MOST_FOUND = 20
"""Problems that are looked for in one document."""

_SHORTEST_QUOTE = 3
"""Characters. Shorter texts stand in any sentence by chance."""

_USERS = "routes"
"""The section that uses the others; what it uses is sooner to blame than that it does."""

_MEMBER = 2
"""Length of the path to a member of a section."""


class OutOfTimeError(Exception):
    """Nobody can be asked any more."""


def locate(
    document: GatewayConfig, words: str, ask: Ask, *, seconds: float, clock: Callable[[], float] = time.monotonic
) -> list[Problem]:
    """One problem for each part of a document that Envoy refuses, at the place of that part; at least one.

    Args:
        document: the whole one.
        words: what Envoy says against it.
        ask: what Envoy says against another one.
        seconds: how long may be looked for. What can't be found in time stands at the smallest part that is known.
        clock: seconds.
    """
    until = clock() + seconds

    def in_time(smaller: GatewayConfig) -> str | None:
        if clock() >= until:
            raise OutOfTimeError
        return ask(smaller)

    left, found, refused = Reduced.of(document), list[Problem](), words
    while refused and len(found) < MOST_FOUND:
        search = _Search(left.document, refused, in_time)
        path = left.original(search.culprit())
        message = f"Envoy refuses what this becomes: {search.words}"
        found.append(document.places.locate(Problem(path=path, code="envoy-refuses", message=message)))
        if len(path) < _MEMBER or path[0] not in left.members:
            break
        left = left.leave_out(path)
        refused = _still_refused(left.document, in_time)
    return found


def _still_refused(document: GatewayConfig, ask: Ask) -> str:
    try:
        return ask(document) or ""
    except OutOfTimeError:
        return ""


class _Search:
    """Looks for one culprit; paths are those of the reduced document that it begins with."""

    def __init__(self, document: GatewayConfig, words: str, ask: Ask) -> None:
        self._whole = self._left = Reduced.of(document)
        self._ask = ask
        self.words = words
        """What Envoy says against the smallest document that it refuses so far."""

    def culprit(self) -> Path:
        """The deepest part that is proven to be at fault; when time runs out, the smallest that is known."""
        known: Path = ()
        try:
            self._shrink_all()  # what the sections leave of each other lets them shrink further
            if self._was_shrunk_to_one(_USERS):
                known = (_USERS, 0)
            self._shrink_all()
            known = self._blamed() or self._member()
        except OutOfTimeError:
            pass
        return self._left.original(known)

    def _was_shrunk_to_one(self, section: str) -> bool:
        return len(self._left.members[section]) == 1 < len(self._whole.members[section])

    def _member(self) -> Path:
        """The member without which Envoy does not say any more what it says."""
        for section in sorted(self._left.members, key=lambda name: name == _USERS):
            if self._was_shrunk_to_one(section):
                step = self._left.members[section][0]
                words = self._ask(self._whole.leave_out((section, step)).document)
                if words is not None and words != self.words:
                    return (section, 0 if isinstance(step, int) else step)
        return ()

    def _shrink_all(self) -> None:
        for section in sorted(self._left.members, key=lambda name: name == _USERS):
            self._shrink(section)

    def _shrink(self, section: str) -> None:
        """Halve a section as long as Envoy refuses one half alone."""
        while (count := len(self._left.members[section])) > 1:
            steps = self._left.members[section]
            half = next((h for h in (steps[: count // 2], steps[count // 2 :]) if self._is_refused(section, h)), None)
            if half is None:
                return
            self._left = self._left.keep(section, half)

    def _is_refused(self, section: str, steps: tuple[Step, ...]) -> bool:
        words = self._ask(self._left.keep(section, steps).document)
        self.words = words or self.words
        return bool(words)

    def _blamed(self) -> Path:
        """A key of some member, if that is proven; else the member, or the section."""
        best: Path = ()
        for part in self._likely(()):
            found = self._below((part.step,)) or ()
            if len(found) > _MEMBER or (found and part.step not in self._left.members):
                return found
            best = best or found
        return best

    def _below(self, path: Path) -> Path | None:
        """The deepest part below ``path`` without which Envoy takes the document."""
        for part in self._likely(path):
            child = (*path, part.step)
            words = self._ask(without(self._left.document, child)) if part.optional else None
            if words == "":
                return self._below(child) or child
            if words is None and (found := self._below(child)):
                return found
        return None

    def _likely(self, path: Path) -> list[Part]:
        """What stands at ``path``, with those parts first that Envoy's words quote."""
        value = at(self._left.document, path)
        return sorted(
            parts(value), key=lambda part: (not self._is_quoted(at(value, (part.step,))), part.step == _USERS)
        )

    def _is_quoted(self, value: object) -> bool:
        return any(len(text) >= _SHORTEST_QUOTE and text in self.words for text in texts(value))
