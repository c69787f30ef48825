"""Ranges of peers: what is left is exactly what is allowed and not denied."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from controlplane.model import AddressRules, ProxyProtocol
from controlplane.translate.peers import peers
from tests.harness import gateways as g

ADDRESSES = [f"10.0.0.{number}" for number in range(16)] + [f"2001:db8::{number:x}" for number in range(16)]
V4 = st.builds(lambda number, bits: f"10.0.0.{number}/{bits}", st.integers(0, 15), st.integers(26, 32))
V6 = st.builds(lambda number, bits: f"2001:db8::{number:x}/{bits}", st.integers(0, 15), st.integers(122, 128))
RANGES = st.lists(
    (V4 | V6).map(lambda text: str(ipaddress.ip_network(text, strict=False))), max_size=4, unique=True
).map(tuple)


def is_in(address: str, ranges: tuple[str, ...]) -> bool:
    """Whether it is in one of them."""
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in ranges)


@given(RANGES, RANGES, RANGES)
def test_who_may_connect(allow: tuple[str, ...], deny: tuple[str, ...], balancers: tuple[str, ...]) -> None:
    """Whoever is allowed, or a balancer where only those may, and is not denied."""
    proxy = ProxyProtocol(balancers=balancers) if balancers else None
    found = peers(g.listener(addresses=AddressRules(allow=allow, deny=deny), proxy_protocol=proxy))
    ranges = tuple(f"{one.address_prefix}/{one.prefix_len.value}" for one in found)
    for address in ADDRESSES:
        wanted = (not allow or is_in(address, allow)) and (not balancers or is_in(address, balancers))
        assert is_in(address, ranges) is (wanted and not is_in(address, deny))


def test_everybody() -> None:
    """No range is every one."""
    assert not peers(g.listener())
