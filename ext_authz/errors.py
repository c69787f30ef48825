"""What can go wrong in ext_authz, apart from the ordinary "no", which is a value and not an exception."""

from __future__ import annotations


class ExtAuthzError(Exception):
    """The root of this package's errors."""


class KeySetError(ExtAuthzError):
    """A document that is not a JWK Set, or a PEM that is not a usable public key."""


class KeyFetchError(ExtAuthzError):
    """An identity provider did not hand out its keys; the text says why and never quotes what it sent."""


class PolicyError(ExtAuthzError):
    """A policy that can't be enforced as a whole; nothing of it takes effect."""
