"""Who may come, by IP address."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRules:
    """Ranges in CIDR notation; a single address is a range of one."""

    allow: tuple[str, ...] = ()
    """Empty is all."""
    deny: tuple[str, ...] = ()
    """These not, even where they are allowed."""
