"""What differs between two versions of one type: found once, shared by every stream that makes the same step."""

from __future__ import annotations

from collections import OrderedDict

from controlplane.xds.snapshot import EMPTY_SET, Resource, ResourceSet, resource_set

_REMEMBERED = 256
"""Streams lag behind by different amounts, but seldom by more different ones than this."""

_AND = ","
MOST_UNITED = 16
"""Versions that the name of a union is made of at most."""


def united(versions: tuple[str, ...]) -> str:
    """The version of a union of sets, of which an earlier one wins. It says what it is made of, so that a server that
    never made this union, but knows the sets, can tell what a client has that claims it."""
    return _AND.join(versions)


def parts_of(version: str) -> tuple[str, ...]:
    """What a version is made of, itself if it is of no union; nothing where it is no version of ours."""
    parts = version.split(_AND, MOST_UNITED)
    return tuple(parts) if len(parts) <= MOST_UNITED else ()


class Differ:
    """Compares resource sets and remembers the newest comparisons, and what was compared.

    A change that a thousand streams receive is looked for once: the cost of a change is that of what changed.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[str, ...]] = OrderedDict()
        self._sets: OrderedDict[str, ResourceSet] = OrderedDict()

    def remember(self, one: ResourceSet) -> None:
        """Know ``one`` by its version for a while."""
        self._sets[one.version] = one
        self._sets.move_to_end(one.version)
        if len(self._sets) > _REMEMBERED:
            self._sets.popitem(last=False)

    def recall(self, version: str) -> tuple[ResourceSet, bool]:
        """What is known of the set of this version, and whether that is all of it: each of the parts of :func:`united`
        ones that was seen not long ago.
        """
        parts = parts_of(version)
        sets = [one for part in parts if (one := self._sets.get(part)) is not None]
        if len(sets) <= 1:
            return (sets[0] if sets else EMPTY_SET), len(parts) == len(sets) == 1
        held: dict[str, Resource] = {}
        for one in sets:
            held = {**one.resources, **held}
        return resource_set(held.values()), len(parts) == len(sets)

    def between(self, old: ResourceSet, new: ResourceSet) -> tuple[str, ...]:
        """Names that were added or changed, in the order of ``new``, then names that are gone."""
        if old.version == new.version:
            return ()
        key = (old.version, new.version)
        names = self._known.get(key)
        if names is None:
            names = self._known[key] = _compare(old, new)
            self.remember(new)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return names


def _compare(old: ResourceSet, new: ResourceSet) -> tuple[str, ...]:
    before = old.resources
    fresh = [name for name, resource in new.resources.items() if _differs(before.get(name), resource.version)]
    return (*fresh, *(name for name in before if name not in new.resources))


def _differs(held: object, version: str) -> bool:
    return getattr(held, "version", None) != version
