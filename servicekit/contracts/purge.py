"""One purge of kept answers, and where Redis holds the latest: written by the control plane, read by every cache."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from servicekit.contracts.base import Contract

MOST_PURGES: Final = 1000
"""That are remembered. A cache that has missed more than these forgets everything."""

# One hash tag: on a cluster a script may only touch keys of one slot.
PURGES_KEY: Final = "{gateway:purges}:log"
"""Sorted set: :class:`Purge` as JSON, by its number."""
COUNTER_KEY: Final = "{gateway:purges}:counter"
"""The number of the last one."""


class Purge(Contract):
    """Answers to forget: those that are of the route, or below the path."""

    id: str = Field(min_length=1)
    """Never used again, so that two that want the same are two."""
    route: str | None = None
    """The name of a route."""
    path_prefix: str | None = None
    """Whole segments, without a slash at its end: ``/a`` is ``/a`` and ``/a/b``, not ``/ab``; ``""`` is every path."""

    def means(self, route: str, path: str) -> bool:
        """Whether an answer of ``route`` to a request for ``path`` is to be forgotten."""
        if self.route is not None:
            return route == self.route
        prefix = self.path_prefix
        return prefix is not None and (path == prefix or path.startswith(prefix + "/"))
