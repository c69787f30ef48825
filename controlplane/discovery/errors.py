"""What goes wrong with a list of endpoints."""

from __future__ import annotations


class DiscoveryError(Exception):
    """A list that can't be had or is none. The text is for people, and repeats nothing of what was read."""
