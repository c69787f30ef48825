"""Socket addresses."""

from __future__ import annotations

from envoy.config.core.v3.address_pb2 import Address, SocketAddress

_ANY_V6 = "::"


def socket_address(host: str, port: int) -> Address:
    """An address to bind or to connect to; ``::`` takes IPv4 clients too."""
    return Address(socket_address=SocketAddress(address=host, port_value=port, ipv4_compat=host == _ANY_V6))
