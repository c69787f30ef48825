"""The configuration files of envoyproxy/ratelimit, and a service that answers as they say.

May import the rest of :mod:`ratelimit_service`, which knows nothing of it.
"""
