"""``KeyReport``: what an ext_authz says of the keys that it verifies with. No key is in it that proves anything."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from servicekit.contracts.base import Contract

KEY_REPORT_PATH = "/keys"
"""Where it is had, beside health and metrics."""


class _Said(Contract):
    """Read by control planes that may be older than who wrote it: what is new in it is passed over."""

    model_config = ConfigDict(extra="ignore")


class ReportedKey(_Said):
    """One key."""

    kid: str | None
    kty: str
    """RFC 7518 §6.1, RFC 8037 §2."""
    algorithms: tuple[str, ...]
    """All that it may verify."""
    thumbprint: str | None
    """SHA-256 of the public key (RFC 7638 §3), in base64url; nothing of a key that is a secret."""


class ReportedSource(_Said):
    """The keys of one provider. Times are seconds from the moment at which this was said."""

    provider: str
    location: str
    """Their URL, or the reference to a file or variable; empty when they stand in the policy."""
    keys: tuple[ReportedKey, ...] = Field(max_length=1000)
    skipped: tuple[str, ...] = Field(max_length=1000)
    """Keys of the set that are no use, and why."""
    usable: bool
    """Whether tokens are verified with these keys now."""
    age: float | None
    """Since they were last fetched."""
    next_refresh: float | None
    """Until they are fetched again, at the latest; null when they never are."""
    usable_for: float | None
    """Until they are too old to be used, if none are fetched until then; null when they never are."""
    failures: int
    """Attempts to fetch that failed since the last that did not."""
    last_error: str | None
    """Why the last attempt failed; null after one that worked."""


class KeyReport(Contract):
    """Every provider whose tokens may be asked for, by name."""

    model_config = ConfigDict(extra="ignore")

    sources: tuple[ReportedSource, ...] = Field(max_length=10_000)
