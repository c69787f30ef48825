"""LimitPolicy and descriptors in, OK or OVER_LIMIT out.

Pure: :mod:`policy`, :mod:`overrides`, :mod:`matching`, :mod:`decision`; the arithmetic of buckets, and what goes to
Redis and comes back, are in :mod:`servicekit.buckets`. At the edge: :mod:`redis_store`, :mod:`reset_feed`,
:mod:`top_callers`, :mod:`service`. :mod:`app` alone wires them.
"""
