"""The passes of resolving, in their order."""

from __future__ import annotations

from collections.abc import Callable

from controlplane.config import ConfigError, GatewayConfig
from controlplane.config.references import dangling
from controlplane.model import Gateway
from controlplane.resolve.conflicts import find_conflicts
from controlplane.resolve.draft import Draft
from controlplane.resolve.grpc_routes import find_http1_upstreams
from controlplane.resolve.limits import resolve_limits
from controlplane.resolve.listeners import find_tcp_conflicts, resolve_listeners
from controlplane.resolve.node_groups import resolve_node_groups, resolve_rollout
from controlplane.resolve.providers import resolve_providers
from controlplane.resolve.removed_headers import find_removed_headers
from controlplane.resolve.routes import resolve_routes
from controlplane.resolve.security_headers import resolve_security_headers
from controlplane.resolve.subsets import resolve_subsets
from controlplane.resolve.upstreams import resolve_upstreams


def _link(document: GatewayConfig, draft: Draft) -> None:
    """Every name that a route or a node group uses is defined."""
    draft.problems.extend(dangling(document.model_dump()))


PASSES: tuple[Callable[[GatewayConfig, Draft], None], ...] = (
    _link,
    resolve_listeners,
    resolve_security_headers,
    resolve_upstreams,
    resolve_providers,  # before routes: a limit by user asks whether a route has a user
    resolve_limits,
    resolve_routes,
    resolve_subsets,  # after routes: they say what is chosen by
    find_http1_upstreams,
    find_tcp_conflicts,
    resolve_node_groups,  # after what they choose from
    resolve_rollout,
    find_conflicts,  # last: these two compare what the others have made
    find_removed_headers,
)


def resolve(document: GatewayConfig, *, listen_address: str) -> Gateway:
    """What a document means.

    Args:
        document: as it was written.
        listen_address: IP address that listeners bind which name none.

    Raises:
        ConfigError: its parts do not fit together. Every such mistake is named, with its position if the document was
            read from a text.
    """
    draft = Draft(listen_address=listen_address)
    for step in PASSES:
        step(document, draft)
    if draft.problems:
        raise ConfigError(document.places.locate(problem) for problem in draft.problems)
    return Gateway(
        listeners=tuple(draft.listeners),
        upstreams=tuple(draft.upstreams),
        routes=tuple(draft.routes),
        identity_providers=tuple(draft.identity_providers),
        rate_limits=tuple(draft.rate_limits),
        node_groups=tuple(draft.node_groups),
        canary=draft.canary,
        security_headers=draft.security_headers,
    )
