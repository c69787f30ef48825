"""Whose address a check goes by."""

from __future__ import annotations

from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext

from ext_authz.client_address import client_address


def attributes(**headers: str) -> AttributeContext:
    """A check of a request whose connection comes from a proxy."""
    context = AttributeContext()
    context.source.address.socket_address.address = "198.51.100.1"
    context.request.http.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return context


def test_the_address_that_envoy_has_found() -> None:
    """The listener's count of trusted proxies is in it."""
    assert client_address(attributes(x_envoy_external_address="192.0.2.1")) == "192.0.2.1"


def test_the_peer_without_it() -> None:
    """And never what clients may say themselves."""
    assert client_address(attributes(x_forwarded_for="192.0.2.1")) == "198.51.100.1"
