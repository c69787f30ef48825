"""Routes whose requests become gRPC: their upstreams have to speak it."""

from __future__ import annotations

from controlplane.config import GatewayConfig
from controlplane.config.problems import quoted
from controlplane.model import Forward
from controlplane.resolve.draft import Draft


def find_http1_upstreams(_: GatewayConfig, draft: Draft) -> None:
    """Refuse routes that would send gRPC in HTTP/1.1, which no backend understands."""
    old = {upstream.name for upstream in draft.upstreams if not upstream.http2}
    for index, route in enumerate(draft.routes):
        if not route.grpc_web or not isinstance(route.action, Forward):
            continue
        for share in route.action.shares:
            if share.upstream in old:
                message = f"the upstream {quoted(share.upstream)} speaks HTTP/1.1, and gRPC needs HTTP/2"
                draft.refuse(("routes", index, "grpc_web"), "grpc-upstream", message, "add http2: true to the upstream")
