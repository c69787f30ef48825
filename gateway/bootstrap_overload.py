"""What Envoy does when it runs out of connections or memory: it sheds work step by step instead of being killed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import envoy_data_plane.envoy.config.overload.v3 as overload_v3
import envoy_data_plane.envoy.extensions.resource_monitors.downstream_connections.v3 as connections_v3
import envoy_data_plane.envoy.extensions.resource_monitors.fixed_heap.v3 as heap_v3
from envoy_data_plane.google.protobuf import Any

_HEAP: Final = "envoy.resource_monitors.fixed_heap"
_CONNECTIONS: Final = "envoy.resource_monitors.global_downstream_max_connections"

HEAP_SHARE: Final = 0.8
"""Of the memory: the rest is for what the allocator does not count (stacks, the process that started Envoy)."""

STEPS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "envoy.overload_actions.shrink_heap": 0.85,
        "envoy.overload_actions.disable_http_keepalive": 0.9,
        "envoy.overload_actions.stop_accepting_requests": 0.95,
        "envoy.overload_actions.reject_incoming_connections": 0.98,
    }
)
"""Which part of the heap in use begins what: give unused memory back; let connections go after their request; answer
new requests with 503; end connections that come, so that nobody waits for nothing."""

_LOOK_EVERY: Final = timedelta(milliseconds=250)


def overload_manager(*, max_connections: int, memory_limit: int | None) -> overload_v3.OverloadManager:
    """The bounds of one Envoy.

    Args:
        max_connections: of clients.
        memory_limit: bytes that the process may use; ``None`` watches nothing.
    """
    connections = connections_v3.DownstreamConnectionsConfig(max_active_downstream_connections=max_connections)
    monitors = [overload_v3.ResourceMonitor(name=_CONNECTIONS, typed_config=Any.pack(connections))]
    if memory_limit is None:
        return overload_v3.OverloadManager(resource_monitors=monitors)
    heap = heap_v3.FixedHeapConfig(max_heap_size_bytes=int(memory_limit * HEAP_SHARE))
    return overload_v3.OverloadManager(
        refresh_interval=_LOOK_EVERY,
        resource_monitors=[*monitors, overload_v3.ResourceMonitor(name=_HEAP, typed_config=Any.pack(heap))],
        actions=[_action(name, part) for name, part in STEPS.items()],
    )


def _action(name: str, part: float) -> overload_v3.OverloadAction:
    trigger = overload_v3.Trigger(name=_HEAP, threshold=overload_v3.ThresholdTrigger(value=part))
    return overload_v3.OverloadAction(name=name, triggers=[trigger])
