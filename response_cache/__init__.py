"""Keeps answers of upstreams: Envoy's external processor for routes with ``cache``.

It imports servicekit and nothing else of the house. Inside: ``cache_control``, ``freshness``, ``conditional`` and
``requests`` are rules of RFC 9110 and 9111 without I/O; ``store`` is the memory; ``flights`` lets many wait for
one answer; ``service`` and ``messages`` alone know Envoy's protocol.
"""
