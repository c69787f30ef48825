"""The port behind which buckets are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from servicekit.buckets.takes import Level, Take

Reason = Literal["timeout", "connection", "read_only", "refused", "overloaded"]


class StoreError(Exception):
    """The store did not decide in time. The tokens may have been taken all the same."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason: Reason = reason


class Store(Protocol):
    """Buckets, in this process or shared."""

    @property
    def available(self) -> bool:
        """Whether asking makes sense now. Costs nothing."""
        ...

    async def take(self, takes: Sequence[Take]) -> Sequence[Level]:
        """Take all tokens of one request, or none of them. Keys are distinct.

        Raises:
            StoreError: there is no answer.
        """
        ...
