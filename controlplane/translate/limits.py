"""What a listener allows a client: sizes, counts and waits. Durations are seconds.

The document does not set them yet; they follow Envoy's advice for a proxy at the edge, where every
client is untrusted.
"""

from __future__ import annotations

from typing import Final

REQUEST_HEADERS_SECONDS: Final = 10.0
"""To send all request headers (the answer to slowloris)."""

LISTENER_FILTERS_SECONDS: Final = 10.0
"""To send what comes before everything else (the PROXY protocol); the connection is closed then."""

TLS_HANDSHAKE_SECONDS: Final = 10.0
"""To finish the handshake of TLS."""

STREAM_IDLE_SECONDS: Final = 300.0
"""Without a byte on a stream, in either direction; WebSockets and event streams too."""

TCP_IDLE_SECONDS: Final = 3600.0
"""Without a byte on a connection that is passed on, in either direction."""

CONNECTION_IDLE_SECONDS: Final = 300.0
"""Without a stream on a connection."""

DRAIN_SECONDS: Final = 5.0
"""Between the two GOAWAYs of a connection that is asked to end."""

CONNECTION_BUFFER_BYTES: Final = 64 * 1024
"""Read ahead for one connection, before the sender is slowed down; also the largest request that can be retried."""

MAX_CONCURRENT_STREAMS: Final = 100
"""On one HTTP/2 connection (RFC 9113 §6.5.2)."""

INITIAL_STREAM_WINDOW_BYTES: Final = 64 * 1024
INITIAL_CONNECTION_WINDOW_BYTES: Final = 1024 * 1024
