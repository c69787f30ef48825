"""Whose address a check goes by: that which Envoy has found, through as many proxies as the listener trusts."""

from __future__ import annotations

from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext

from servicekit.contracts.data_plane import CLIENT_ADDRESS_HEADER


def client_address(attributes: AttributeContext) -> str:
    """An IP address as text, or nothing.

    Envoy removes the header from what clients send and sets it itself; the peer of the connection, which is all that
    the attributes tell, may be a proxy.
    """
    found: str = attributes.request.http.headers.get(CLIENT_ADDRESS_HEADER, "")
    return found or str(attributes.source.address.socket_address.address)
