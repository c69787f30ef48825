"""Who may come, by IP address: ranges written out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from controlplane import model
from controlplane.config.address_rules import Addresses


def resolve_addresses(written: Addresses | None) -> model.AddressRules | None:
    """``None`` is everybody."""
    if written is None:
        return None
    return model.AddressRules(allow=ranges(written.allow), deny=ranges(written.deny))


def ranges(written: Iterable[str]) -> tuple[str, ...]:
    """Sorted, as networks are written."""
    return tuple(sorted(str(ipaddress.ip_network(text, strict=False)) for text in written))
