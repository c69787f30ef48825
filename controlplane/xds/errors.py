"""What can go wrong between the server and its clients.

XdsError
├── NoGroupError    no node group takes the client
├── ProtocolError   a client asks for what no client may
└── WireError       bytes that are not the message they should be
"""

from __future__ import annotations


class XdsError(Exception):
    """Any of them."""


class NoGroupError(XdsError):
    """No node group takes the client, or none does any more."""


class ProtocolError(XdsError):
    """A client asks for what no client may; the text says what."""


class WireError(XdsError):
    """Bytes that are not the message they should be."""
