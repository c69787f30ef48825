"""One revocation of tokens, and where Redis holds the list: written by the control plane, read by every ext_authz."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from pydantic import Field

from servicekit.contracts.base import Contract

MOST_REVOCATIONS: Final = 100_000
"""Revocations in the list at a time."""

# One hash tag: on a cluster a script may only touch keys of one slot.
ENTRIES_KEY: Final = "{gateway:revocations}:entries"
"""Hash: id to :class:`Revocation` as JSON."""
CHANGES_KEY: Final = "{gateway:revocations}:changes"
"""Sorted set: ids by the number of their last change."""
ENDS_KEY: Final = "{gateway:revocations}:ends"
"""Sorted set: ids by their end."""
COUNTER_KEY: Final = "{gateway:revocations}:counter"
"""The number of the last change."""

RevokedBy = Literal["jti", "sub", "sid"]
"""The claim by which tokens are told: one token, all of a subject, all of a session."""


class Revocation(Contract):
    """Tokens of one provider that are refused though they are valid. Times are seconds since the epoch."""

    TYPE_URL: ClassVar[str] = "type.googleapis.com/gateway.policy.v1.Revocation"

    id: str = Field(min_length=1)
    """Never used again, so what is withdrawn stays withdrawn."""
    provider: str = Field(min_length=1)
    kind: RevokedBy
    value: str = Field(min_length=1)
    """Of the claim."""
    issued_before: float | None = None
    """Tokens with an ``iat`` up to this, and those without one; ``None`` is every token."""
    ends_at: float
    """From then on it says nothing any more."""
    created_at: float
    created_by: str
    reason: str = ""
    withdrawn_at: float | None = None
    """When somebody took it back; its id stays in the list until :attr:`ends_at` to say so."""
