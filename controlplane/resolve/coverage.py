"""Which earlier route takes every request that a later one matches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import takewhile

from controlplane.model import PathMatch, RouteMatch
from controlplane.model.path_templates import ONE, REST, segments
from controlplane.resolve.template_index import TemplateIndex

_ROOT = PathMatch(kind="prefix", value="/")


class RouteIndex:
    """Routes seen so far, found by path and host, so that many routes cost no more than few each.

    One route covers another when it asks for nothing that the other does not ask for too. Several that only cover it
    together, and regular expressions that are written in different ways, are not seen.
    """

    def __init__(self) -> None:
        self._routes: defaultdict[tuple[PathMatch, str], list[tuple[int, RouteMatch]]] = defaultdict(list)
        self._templates = TemplateIndex()

    def add(self, index: int, match: RouteMatch) -> None:
        """Remember a route."""
        path = _shape(match.path)
        if path.kind == "template":
            self._templates.add(segments(path.value))
        for host in match.hosts:
            self._routes[path, host].append((index, match))

    def covering(self, match: RouteMatch) -> int | None:
        """The first route seen that takes all requests of ``match``."""
        found = [
            index
            for path in self._paths_above(match.path)
            for host in _hosts_above(match.hosts[0])
            for index, other in self._routes.get((path, host), ())
            if _asks_no_more(other, match)
        ]
        return min(found, default=None)

    def _paths_above(self, path: PathMatch) -> Iterator[PathMatch]:
        """Every path match that takes all that ``path`` does."""
        yield from _paths_above(path)
        if path.kind != "regex":
            for found in self._templates.above(segments(path.value), is_prefix=path.kind == "prefix"):
                yield _template(found)


def _shape(path: PathMatch) -> PathMatch:
    """Templates that take the same are the same, whatever they call it."""
    return _template(segments(path.value)) if path.kind == "template" else path


def _template(shape: Iterable[str]) -> PathMatch:
    return PathMatch(kind="template", value=f"/{'/'.join(shape)}")


def _asks_no_more(one: RouteMatch, other: RouteMatch) -> bool:
    """Whether everything but the path of ``one`` lets through all that those of ``other`` do."""
    return (
        (not one.methods or (bool(other.methods) and set(other.methods) <= set(one.methods)))
        and all(
            set(mine) <= set(others)
            for mine, others in (
                (one.headers, other.headers),
                (one.query, other.query),
                (one.cookies, other.cookies),
            )
        )
        and all(any(above in one.hosts for above in _hosts_above(host)) for host in other.hosts)
    )


def _paths_above(path: PathMatch) -> Iterator[PathMatch]:
    """Every one that is no template."""
    yield path
    if path.kind == "regex":
        yield _ROOT
        return
    if path.kind == "exact":
        yield PathMatch(kind="prefix", value=path.value)
    value = path.value
    if path.kind == "template":
        value = _fixed(value)
        yield PathMatch(kind="prefix", value=value)
    while value != "/":
        value = value.rpartition("/")[0] or "/"
        yield PathMatch(kind="prefix", value=value)


def _fixed(template: str) -> str:
    """What all paths of a template lie below."""
    return f"/{'/'.join(takewhile(lambda one: one not in (ONE, REST), segments(template)))}"


def _hosts_above(host: str) -> Iterator[str]:
    """Every host pattern that takes all that ``host`` does."""
    yield host
    rest = host.removeprefix("*.")
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"
    if host != "*":
        yield "*"
