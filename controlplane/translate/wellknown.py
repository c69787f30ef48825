"""Google's well-known protobuf types from plain values."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

_NANOSECONDS = 1_000_000_000
_NANOSECONDS_PER_MICROSECOND = 1_000


def duration(seconds: float) -> Duration:
    """``seconds`` as a ``Duration``, rounded to microseconds so that 0.1 stays 0.1."""
    total = round(seconds * 1_000_000) * _NANOSECONDS_PER_MICROSECOND
    return Duration(seconds=total // _NANOSECONDS, nanos=total % _NANOSECONDS)


def packed(message: Message) -> Any:
    """``message`` in an ``Any``, its maps sorted."""
    wrapped = Any()
    wrapped.Pack(message, deterministic=True)
    return wrapped


def uint32(value: int) -> UInt32Value:
    """A ``UInt32Value`` that is present even when it is 0."""
    return UInt32Value(value=value)


def true() -> BoolValue:
    """A ``BoolValue`` that is set."""
    return BoolValue(value=True)


def false() -> BoolValue:
    """A ``BoolValue`` that says no, where Envoy's default says yes."""
    return BoolValue(value=False)
