"""What every contract has in common: how it becomes bytes and comes back."""

from __future__ import annotations

from typing import ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

MOST_OTHERS: Final = 16
"""Policies that one policy may carry beside its own."""


class ContractError(Exception):
    """Bytes that are not the contract they claim to be."""


class Contract(BaseModel):
    """An immutable value that crosses a process boundary as canonical JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    TYPE_URL: ClassVar[str] = ""

    def encode(self) -> bytes:
        """Canonical JSON: equal values give equal bytes, on every replica."""
        return self.model_dump_json().encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The value that :meth:`encode` wrote.

        Raises:
            ContractError: the bytes are not this contract.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
            raise ContractError(f"not a valid {cls.__name__}: {where}") from None
