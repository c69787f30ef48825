"""Templates of paths, found by what they take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from controlplane.model.path_templates import ONE, REST


@dataclass(slots=True)
class _Node:
    below: dict[str, _Node] = field(default_factory=dict)
    is_end: bool = False


class TemplateIndex:
    """A tree of segments, so that a search sees only templates that begin alike."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, segments: Sequence[str]) -> None:
        """Remember a template."""
        node = self._root
        for segment in segments:
            node = node.below.setdefault(segment, _Node())
        node.is_end = True

    def above(self, segments: Sequence[str], *, is_prefix: bool) -> Iterator[tuple[str, ...]]:
        """Every template seen that takes all paths of these segments, which may be a template's own.

        Args:
            segments: of one path or template.
            is_prefix: whether what lies below them is meant, too.
        """
        yield from _above(self._root, tuple(segments), 0, is_prefix)


def _above(node: _Node, segments: tuple[str, ...], done: int, is_prefix: bool) -> Iterator[tuple[str, ...]]:
    if done == len(segments):
        if node.is_end and not is_prefix:
            yield ()
        return
    if REST in node.below:
        yield (REST,)
    segment = segments[done]
    if segment == REST:
        return
    # A segment that is empty is none; a literal one is also any one.
    for key in dict.fromkeys((segment, *([ONE] if segment else []))):
        if key in node.below:
            for rest in _above(node.below[key], segments, done + 1, is_prefix):
                yield (key, *rest)
