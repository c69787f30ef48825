"""What the passes of resolving fill in."""

from __future__ import annotations

from dataclasses import dataclass, field

from controlplane.config.problems import Path, Problem
from controlplane.model import Canary, IdentityProvider, Listener, NodeGroup, RateLimit, Route, Upstream


@dataclass(slots=True, kw_only=True)
class Draft:
    """A gateway in the making. Each list has the order of the document."""

    listen_address: str
    problems: list[Problem] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)
    upstreams: list[Upstream] = field(default_factory=list)
    identity_providers: list[IdentityProvider] = field(default_factory=list)
    rate_limits: list[RateLimit] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    node_groups: list[NodeGroup] = field(default_factory=list)
    security_headers: dict[str, str] = field(default_factory=dict)
    canary: Canary | None = None

    def refuse(self, path: Path, code: str, message: str, hint: str | None = None, *, at_key: bool = False) -> None:
        """Note a mistake and go on."""
        self.problems.append(Problem(path=path, code=code, message=message, hint=hint, at_key=at_key))
