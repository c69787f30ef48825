"""Free TCP ports."""

from __future__ import annotations

import itertools
import random
import socket

# Below the range that the kernel takes the ports of outgoing connections from: one of those may take a port between
# our look and the listener's bind. In a random order, since other processes choose from the same.
_CANDIDATES = itertools.cycle(random.sample(range(20_000, 32_000), 12_000))


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now, and that this process was not given before."""
    for port in _CANDIDATES:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("a cycle does not end")
