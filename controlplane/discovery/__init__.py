"""Endpoints that are listed elsewhere: found, kept when their list is lost, and shown to Envoy over EDS alone."""

from controlplane.discovery.cache import DiscoveringCache
from controlplane.discovery.discovery import Discovery
from controlplane.discovery.errors import DiscoveryError
from controlplane.discovery.follower import Standing
from controlplane.discovery.memory import ListMemory
from controlplane.discovery.opening import ListOpener
from controlplane.discovery.sources import Lists
from controlplane.discovery.targets import parse_targets

__all__ = [
    "DiscoveringCache",
    "Discovery",
    "DiscoveryError",
    "ListMemory",
    "ListOpener",
    "Lists",
    "Standing",
    "parse_targets",
]
