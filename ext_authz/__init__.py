"""Who is calling, may they, and what does the backend get to know.

The core is pure: tokens (``jwt``, ``claims``), keys (``keys``), credentials, rules and ``decision`` know no
protobuf, no socket and no clock. Around it stand the state machine of one issuer's keys (``key_state``), what feeds
it (``key_loader``, ``key_fetcher``), the cache (``cache``, ``checker``), and the gRPC edge (``service``, ``answers``).
"""
