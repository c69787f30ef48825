"""Which clients a request for their status means (``envoy.type.matcher.v3.NodeMatcher``). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from envoy.type.matcher.v3.node_pb2 import NodeMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from envoy.type.matcher.v3.struct_pb2 import StructMatcher

from controlplane.xds.errors import ProtocolError
from controlplane.xds.messages import Node

MOST_MATCHERS = 100
"""In one request."""

Matches = Callable[[Node], bool]

_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "exact": lambda text, wanted: text == wanted,
    "prefix": str.startswith,
    "suffix": str.endswith,
    "contains": lambda text, wanted: wanted in text,
}


def any_of(matchers: Iterable[NodeMatcher]) -> Matches:
    """Whether any of ``matchers`` means a node; every node when there are none.

    Raises:
        ProtocolError: there are too many, or one asks for what is not supported (regular expressions, structures).
    """
    compiled = [_node(matcher) for matcher in matchers]
    if len(compiled) > MOST_MATCHERS:
        raise ProtocolError(f"more than {MOST_MATCHERS} node matchers")
    return (lambda node: any(matches(node) for matches in compiled)) if compiled else lambda _: True


def _node(matcher: NodeMatcher) -> Matches:
    wanted: list[Matches] = [_metadata(one) for one in matcher.node_metadatas]
    if matcher.HasField("node_id"):
        matches_id = _string(matcher.node_id)
        wanted.append(lambda node: matches_id(node.id))
    return lambda node: all(matches(node) for matches in wanted)


def _metadata(matcher: StructMatcher) -> Matches:
    if len(matcher.path) != 1 or matcher.value.WhichOneof("match_pattern") not in ("string_match", "present_match"):
        raise ProtocolError("node_metadatas: only one key, and string_match or present_match, are supported")
    key = matcher.path[0].key
    if matcher.value.WhichOneof("match_pattern") == "present_match":
        return lambda node: (key in node.metadata) == matcher.value.present_match
    matches = _string(matcher.value.string_match)
    return lambda node: key in node.metadata and matches(node.metadata[key])


def _string(matcher: StringMatcher) -> Callable[[str], bool]:
    pattern = matcher.WhichOneof("match_pattern")
    if pattern not in _COMPARE:
        raise ProtocolError(f"only {', '.join(_COMPARE)} are supported to match text")
    compare, wanted = _COMPARE[pattern], getattr(matcher, pattern)
    if matcher.ignore_case:
        return lambda text: compare(text.lower(), wanted.lower())
    return lambda text: compare(text, wanted)
