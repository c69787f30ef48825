"""Protobuf fields by hand: a message is its serialized fields in a row, so encoded parts need only be joined."""

from __future__ import annotations

_LENGTH_DELIMITED = 2
_CONTINUES = 0x80


def field_head(number: int, length: int) -> bytes:
    """Tag and length of a length-delimited field; ``length`` bytes of value follow it."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(length)


def string_field(number: int, text: str) -> bytes:
    """A string field; nothing when it has its default, the empty string."""
    value = text.encode()
    return field_head(number, len(value)) + value if value else b""


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= _CONTINUES:
        encoded.append(value & 0x7F | _CONTINUES)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
