"""What is asked: the key of a request, and whether the cache has a say in it at all. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from servicekit.contracts.cache_rule import CacheRule

_CREDENTIALS: Final = ("authorization", "cookie", "x-api-key", "x-forwarded-client-cert")
"""What may tell upstreams who is calling, besides what the gateway itself tells them."""
_PARTIAL: Final = ("range", "if-range", "if-match", "if-unmodified-since", "upgrade")
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""RFC 9110 §9.2.1. Others change something: what is kept of their target is dropped."""


class Key(NamedTuple):
    """What answers are kept under, before what they vary by."""

    route: str
    generation: str
    scheme: str
    host: str
    target: str
    """Path and query, as they were sent."""
    caller: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request. Names of headers are in lower case; several of one name are joined by commas."""

    method: str
    scheme: str
    host: str
    target: str
    headers: Mapping[str, str]
    caller: str
    """Who is calling, as authentication has found; empty for nobody."""
    rule: CacheRule

    def key(self) -> Key:
        """Where its answer is kept."""
        rule = self.rule
        return Key(rule.route, rule.generation, self.scheme, self.host, self.target, self._caller())

    def passes_by(self) -> str:
        """Why the cache has no say; empty if it has."""
        if self.method not in ("GET", "HEAD"):
            return "method"
        if any(name in self.headers for name in _PARTIAL):
            return "request"
        if self.rule.callers == "none" and (self.caller or any(name in self.headers for name in _CREDENTIALS)):
            return "credentials"
        if self.rule.callers == "each" and not self.caller:
            return "nobody"
        return ""

    def _caller(self) -> str:
        if self.rule.callers != "each":
            return ""
        digest = hashlib.sha256(self.caller.encode())
        # What else an upstream may tell callers by: another token of the same user may see other things.
        for name in (*_CREDENTIALS, *self.rule.identity_headers):
            value = self.headers.get(name)
            digest.update(b"\0" if value is None else b"\1" + str(len(value)).encode() + b":" + value.encode())
        return digest.hexdigest()
