"""Configuration files to rules, with every mistake named."""

from __future__ import annotations

from collections.abc import Mapping

from ratelimit_service.rules.errors import Mistake, RulesError
from ratelimit_service.rules.text import Node, Reader, compose
from ratelimit_service.rules.tree import UNIT_SECONDS, Domains, Level, Rule, RuleLimit

MAX_LEVELS = 32
"""Of descriptors in each other."""

_ROOT = frozenset({"domain", "descriptors"})
_DESCRIPTOR = frozenset(
    {
        "key",
        "value",
        "rate_limit",
        "descriptors",
        "shadow_mode",
        "detailed_metric",
        "value_to_metric",
        "share_threshold",
        "quota_mode",
        "metadata",
    }
)
_RATE_LIMIT = frozenset({"unit", "requests_per_unit", "unlimited", "name", "replaces"})
_REPLACES = frozenset({"name"})
_UINT32 = 2**32 - 1


def load(files: Mapping[str, bytes], *, merge: bool = False) -> Domains:
    """The rules of all files, by domain.

    Args:
        files: contents by the name that mistakes are told with.
        merge: let several files hold one domain, whose descriptors are put together.

    Raises:
        RulesError: there is at least one mistake.
    """
    domains: dict[str, Level] = {}
    origins: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for file, source in files.items():
        try:
            _load_file(file, source, domains, {} if merge else origins)
        except RulesError as error:
            mistakes += error.mistakes
    if mistakes:
        raise RulesError(mistakes)
    return domains


def _load_file(file: str, source: bytes, domains: dict[str, Level], origins: dict[str, str]) -> None:
    reader, root = Reader(file), compose(source, file)
    if root is None:
        raise RulesError([Mistake(file, 1, 1, "the file is empty; it needs a domain")])
    found = reader.mapping(root, _ROOT, "the file")
    domain = reader.text(found.get("domain"), "domain")
    if not domain:
        reader.wrong(found.get("domain", root), "a domain has to be named")
    elif domain in origins:
        reader.wrong(found["domain"], f"the domain {domain!r} stands in {origins[domain]} too")
    level = Level() if domain in origins else domains.setdefault(domain, Level())
    origins.setdefault(domain, file)
    _fill(level, reader, found.get("descriptors"), 1)
    if reader.mistakes:
        raise RulesError(reader.mistakes)


def _fill(level: Level, reader: Reader, node: Node | None, depth: int) -> None:
    if node is not None and depth > MAX_LEVELS:  # an alias may repeat what it stands in
        reader.wrong(node, f"descriptors are nested more than {MAX_LEVELS} deep")
        return
    for item in reader.items(node, "descriptors"):
        rule = _rule(reader, item, depth)
        if not rule.key:
            reader.wrong(item, "a descriptor has to have a key")
        elif not level.add(rule):
            reader.wrong(item, f"the descriptor {rule.label!r} stands in this list twice")


def _rule(reader: Reader, node: Node, depth: int) -> Rule:
    found = reader.mapping(node, _DESCRIPTOR, "a descriptor")
    shared = reader.flag(found.get("share_threshold"), "share_threshold")
    below = Level()
    _fill(below, reader, found.get("descriptors"), depth + 1)
    rule = Rule(
        key=reader.text(found.get("key"), "key"),
        value=reader.text(found.get("value"), "value"),
        limit=_limit(reader, found),
        value_to_metric=reader.flag(found.get("value_to_metric"), "value_to_metric"),
        share_threshold=shared,
        below=below,
    )
    if shared and "*" not in rule.value:
        reader.wrong(found["share_threshold"], "share_threshold needs a value with a wildcard (*)")
    return rule


def _limit(reader: Reader, descriptor: Mapping[str, Node]) -> RuleLimit | None:
    shadow, quota, detailed = (
        reader.flag(descriptor.get(name), name) for name in ("shadow_mode", "quota_mode", "detailed_metric")
    )
    node = descriptor.get("rate_limit")
    if node is None:
        return None
    found = reader.mapping(node, _RATE_LIMIT, "rate_limit")
    unlimited = reader.flag(found.get("unlimited"), "unlimited")
    name = reader.text(found.get("name"), "name")
    return RuleLimit(
        unit=_unit(reader, node, found.get("unit"), unlimited=unlimited),
        requests_per_unit=reader.whole(found.get("requests_per_unit"), "requests_per_unit", _UINT32),
        unlimited=unlimited,
        name=name,
        replaces=tuple(_replaced(reader, item, name) for item in reader.items(found.get("replaces"), "replaces")),
        shadow=shadow,
        quota=quota,
        detailed_metric=detailed,
    )


def _unit(reader: Reader, limit: Node, node: Node | None, *, unlimited: bool) -> str:
    unit = reader.text(node, "unit").upper()
    if unlimited:
        if node is not None and unit in UNIT_SECONDS:
            reader.wrong(node, "what is unlimited has no unit")
        return "UNKNOWN"
    if unit not in UNIT_SECONDS:
        reader.wrong(node or limit, f"unit has to be one of {', '.join(UNIT_SECONDS).lower()}")
        return "UNKNOWN"
    return unit


def _replaced(reader: Reader, node: Node, own: str) -> str:
    name = reader.text(reader.mapping(node, _REPLACES, "an entry of replaces").get("name"), "name")
    if not name:
        reader.wrong(node, "an entry of replaces has to have a name")
    elif name == own:
        reader.wrong(node, "a limit can't replace itself")
    return name
