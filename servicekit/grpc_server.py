"""How the servers on Envoy's hot path are set up: what they bind, and how many calls may wait."""

from __future__ import annotations

from typing import Final

REQUEST_SERVER_OPTIONS: Final[list[tuple[str, int]]] = [
    # A second process on the port is a mistake to be told of, not a sharer.
    ("grpc.so_reuseport", 0),
    # Above 1,000 calls that no handler has begun, gRPC would end some at random with CANCELLED, and all above 3,000: a
    # burst of a busy Envoy. What is too much is for the services to say, with their own bounds and their own answer.
    ("grpc.server.max_pending_requests", 10_000),
    ("grpc.server.max_pending_requests_hard_limit", 20_000),
]
