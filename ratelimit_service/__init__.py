"""LimitPolicy and descriptors in, OK or OVER_LIMIT out.

Pure: :mod:`bucket` (the arithmetic), :mod:`policy`, :mod:`matching`, :mod:`decision`, :mod:`script` (what goes to
Redis and what comes back). At the edge: :mod:`redis_store`, :mod:`service`. :mod:`app` alone wires them.
"""
