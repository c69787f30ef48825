"""YAML to nodes that know their line and column, within bounds that a hostile text can't leave."""

from __future__ import annotations

from typing import Any

import yaml

from ratelimit_service.rules.errors import Mistake, RulesError

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 400_000
"""Values in one file, those that aliases repeat included."""

Node = yaml.Node
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = "tag:yaml.org,2002:null"


def compose(source: bytes, file: str) -> Node | None:
    """The root of one YAML document; ``None`` of an empty one.

    Raises:
        RulesError: it is not YAML, not UTF-8, several documents, or beyond a bound.
    """
    if len(source) > MAX_BYTES:
        raise RulesError([Mistake(file, 1, 1, f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB")])
    try:
        text = source.decode("utf-8-sig")
        _check_depth(text, file)
        return yaml.compose(text, Loader=_LOADER)
    except UnicodeDecodeError as error:
        line = source[: error.start].count(b"\n") + 1
        raise RulesError([Mistake(file, line, 1, "the text is not UTF-8")]) from None
    except yaml.MarkedYAMLError as error:
        line, column = _place(error.problem_mark or error.context_mark)
        raise RulesError([Mistake(file, line, column, f"not YAML: {error.problem or error.context}")]) from None
    except yaml.YAMLError as error:
        raise RulesError([Mistake(file, 1, 1, f"not YAML: {str(error).splitlines()[0]}")]) from None


def _check_depth(text: str, file: str) -> None:
    """Walk the events, which nothing recurses for: nodes are made recursively."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            line, column = _place(event.start_mark)
            raise RulesError([Mistake(file, line, column, f"values are nested more than {MAX_DEPTH} deep")])


def _place(mark: Any) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


class Reader:
    """Takes the values that it expects out of nodes, and collects what is wrong."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._visited = 0
        self.mistakes: list[Mistake] = []

    def wrong(self, node: Node, message: str) -> None:
        """Note a mistake and go on."""
        self.mistakes.append(Mistake(self._file, *_place(node.start_mark), message))

    def mapping(self, node: Node, known: frozenset[str], what: str) -> dict[str, Node]:
        """The values by key; those without a value are left out.

        Raises:
            RulesError: there are more values than :data:`MAX_NODES`.
        """
        self._visit(node)
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, f"{what} has to be a mapping of keys to values")
            return {}
        found: dict[str, Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name not in known:
                self.wrong(key, f"{what} has no key {name!r}; it has {', '.join(sorted(known))}")
            elif name in found:
                self.wrong(key, f"the key {name!r} stands here twice")
            elif value.tag != _NULL:
                found[name] = value
        return found

    def items(self, node: Node | None, what: str) -> list[Node]:
        """The items of a list; none where there is no list.

        Raises:
            RulesError: there are more values than :data:`MAX_NODES`.
        """
        if node is None:
            return []
        self._visit(node)
        if not isinstance(node, yaml.SequenceNode):
            self.wrong(node, f"{what} has to be a list")
            return []
        return list(node.value)

    def text(self, node: Node | None, what: str) -> str:
        """A scalar as it is written, numbers too; empty where there is none."""
        if node is None:
            return ""
        if not isinstance(node, yaml.ScalarNode):
            self.wrong(node, f"{what} has to be text")
            return ""
        return str(node.value)

    def flag(self, node: Node | None, what: str) -> bool:
        """Yes or no in any of YAML 1.1's ways; no where there is none."""
        text = self.text(node, what).lower()
        if node is not None and text not in _TRUE | _FALSE:
            self.wrong(node, f"{what} has to be true or false")
        return text in _TRUE

    def whole(self, node: Node | None, what: str, most: int) -> int:
        """A whole number from 0 to ``most``; 0 where there is none."""
        text = self.text(node, what)
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else -1
        if node is not None and not 0 <= number <= most:
            self.wrong(node, f"{what} has to be a whole number from 0 to {most}")
        return max(0, min(number, most))

    def _visit(self, node: Node) -> None:
        self._visited += 1 + len(node.value)
        if self._visited > MAX_NODES:
            self.wrong(node, f"there are more than {MAX_NODES} values, aliases expanded")
            raise RulesError(self.mistakes)


_TRUE = frozenset({"true", "yes", "on", "y"})
_FALSE = frozenset({"false", "no", "off", "n"})
