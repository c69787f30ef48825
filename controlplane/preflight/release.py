"""A release shown to Envoy before it goes live, and what Envoy refuses of it named in the document."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from controlplane.config import ConfigError, GatewayConfig, Problem
from controlplane.config.problems import Path
from controlplane.preflight.errors import PreflightError, PreflightUnavailableError
from controlplane.preflight.locate import OutOfTimeError, locate
from controlplane.xds.snapshot import Snapshot

LOCATING_SECONDS = 10.0
"""How long is looked for the place of what Envoy refuses: some twenty questions, a tenth of a second each."""

_MEANINGLESS = (ConfigError, AttributeError, LookupError, TypeError, ValueError)
"""Besides mistakes in it: what translating takes for granted may be what was left out."""

Groups = Mapping[str, Snapshot]
"""What the nodes of each group get."""


class Judge(Protocol):
    """Envoy, or what knows its constraints."""

    def check(self, snapshot: Snapshot) -> None:
        """Return when Envoy would take ``snapshot``.

        Raises:
            PreflightError: it would not.
            PreflightUnavailableError: nobody could be asked.
        """


def check_groups(
    judge: Judge,
    document: GatewayConfig,
    groups: Groups,
    translate: Callable[[GatewayConfig], Groups],
    *,
    seconds: float = LOCATING_SECONDS,
) -> None:
    """Return when Envoy would take what every group gets. Blocks.

    Args:
        judge: who is asked.
        document: what ``groups`` were made from.
        groups: those that get the same are asked about once.
        translate: what the groups would get by another document, or :class:`ConfigError`.
        seconds: how long is looked for what Envoy means, in all groups together.

    Raises:
        ConfigError: Envoy would not. The problems stand where the document says what Envoy refuses.
        PreflightUnavailableError: nobody could be asked.
    """
    distinct: dict[tuple[tuple[str, str], ...], str] = {}
    for name, snapshot in groups.items():
        distinct.setdefault(tuple(sorted(snapshot.versions.items())), name)
    until = time.monotonic() + seconds
    found: dict[Path, Problem] = {}
    for name in distinct.values():
        try:
            judge.check(groups[name])
        except PreflightError as error:
            left = max(0.0, until - time.monotonic())
            problems = locate(document, str(error), _asking(judge, translate, name), seconds=left)
            found |= {problem.path: problem for problem in problems if problem.path not in found}
    if found:
        raise ConfigError(found.values())


def _asking(
    judge: Judge, translate: Callable[[GatewayConfig], Groups], group: str
) -> Callable[[GatewayConfig], str | None]:
    def ask(smaller: GatewayConfig) -> str | None:
        try:
            snapshot = translate(_for_one(smaller, group)).get(group)
        except _MEANINGLESS:
            return None
        return "" if snapshot is None else words(snapshot)

    def words(snapshot: Snapshot) -> str:
        try:
            judge.check(snapshot)
        except PreflightError as error:
            return str(error)
        except PreflightUnavailableError:
            raise OutOfTimeError from None
        return ""

    return ask


def _for_one(document: GatewayConfig, group: str) -> GatewayConfig:
    """Without the other groups, which may have no route left that they could serve."""
    return document.model_copy(update={"node_groups": [one for one in document.node_groups if one.name == group]})
