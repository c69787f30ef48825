"""What a client has subscribed to, of one type on one stream: names, the wildcard, or both.

The wildcard has two forms. ``*`` is a name like any other. For clients from before it, a first request that names
nothing means ``*`` too; from the first name on (``*`` included) that form is gone, and naming nothing means nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from controlplane.xds.messages import WILDCARD


@dataclass(frozen=True, slots=True)
class Change:
    """What one request did to the interest."""

    added: tuple[str, ...] = ()
    """Names asked for, in the order of the request, that need an answer."""
    dropped: tuple[str, ...] = ()
    """Names that were subscribed and are not any more."""
    wildcard_started: bool = False
    wildcard_ended: bool = False


@dataclass(slots=True)
class Interest:
    """The subscription as it stands."""

    names: set[str] = field(default_factory=set)
    """Explicit names, without ``*``."""
    wildcard: bool = False
    _has_named: bool = False
    _named_wildcard: bool = False

    def covers(self, name: str) -> bool:
        """Whether the client is to have the resource of this name."""
        return self.wildcard or name in self.names

    def replace(self, names: Iterable[str]) -> Change:
        """State of the world: ``names`` is everything that the client wants."""
        wanted = dict.fromkeys(names)
        self._has_named = self._has_named or bool(wanted)
        wildcard = WILDCARD in wanted or not self._has_named
        wanted.pop(WILDCARD, None)
        change = Change(
            added=tuple(name for name in wanted if name not in self.names),
            dropped=tuple(name for name in self.names if name not in wanted),
            wildcard_started=wildcard and not self.wildcard,
            wildcard_ended=self.wildcard and not wildcard,
        )
        self.names = set(wanted)
        self.wildcard = wildcard
        return change

    def adjust(self, subscribe: Iterable[str], unsubscribe: Iterable[str]) -> Change:
        """Delta: names to begin with and names to end.

        A name subscribed again counts as added, for the client may have dropped what it had.
        """
        wanted = dict.fromkeys(subscribe)
        # A name in both lists stays: the client that wants it must not wait for what it will never be sent.
        unwanted = {name: None for name in unsubscribe if name not in wanted}
        before = self.wildcard
        started = self._adjust_wildcard(wanted, unwanted)
        wanted.pop(WILDCARD, None)
        dropped = tuple(name for name in unwanted if name in self.names)
        self.names.difference_update(dropped)
        self.names.update(wanted)
        ended = before and not self.wildcard
        return Change(added=tuple(wanted), dropped=dropped, wildcard_started=started, wildcard_ended=ended)

    def _adjust_wildcard(self, wanted: Collection[str], unwanted: Collection[str]) -> bool:
        """Begin or end the wildcard; whether everything has to be sent."""
        before, named_before = self.wildcard, self._named_wildcard
        self._has_named = self._has_named or bool(wanted) or WILDCARD in unwanted
        if WILDCARD in wanted:
            self.wildcard = self._named_wildcard = True
        elif WILDCARD in unwanted:
            self.wildcard = self._named_wildcard = False
        elif not self._has_named:
            self.wildcard = True
        # Naming it after the unnamed form goes on with what the client has; naming it twice asks anew.
        return self.wildcard and (not before or (named_before and WILDCARD in wanted))
