"""Envoy's questions as they come over the wire, with bytes in them that are no text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitRequest, RateLimitResponse
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

_SERVICE: Final = "envoy.service.ratelimit.v3.RateLimitService"
_Answer: TypeAlias = Callable[[RateLimitRequest, grpc.aio.ServicerContext], Awaitable[RateLimitResponse]]


def add_to_server(should_rate_limit: _Answer, server: grpc.aio.Server) -> None:
    """Let ``should_rate_limit`` answer, also questions that the generated code refuses to read."""
    handler = grpc.unary_unary_rpc_method_handler(
        should_rate_limit,
        request_deserializer=read_request,
        response_serializer=RateLimitResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"ShouldRateLimit": handler}),))


def read_request(data: bytes) -> RateLimitRequest:
    r"""The question.

    Envoy puts headers and parameters into descriptors as they are, and a protobuf string is UTF-8. What is not would be
    an error, and an error lets the request pass: a byte in a header would be a way around every limit of a route. So
    such bytes are written out instead, as in ``\xff``.

    Raises:
        DecodeError: this is no question at all.
    """
    try:
        return RateLimitRequest.FromString(data)
    except DecodeError:
        raw = _RAW.FromString(data)
    for descriptor in raw.descriptors:
        for entry in descriptor.entries:
            entry.key, entry.value = _text(entry.key), _text(entry.value)
    return RateLimitRequest.FromString(raw.SerializeToString())


def _text(data: bytes) -> bytes:
    return data.decode(errors="backslashreplace").encode()


def _raw_request() -> Any:
    """The part of a question that has texts, which are bytes here. The rest goes through it as unknown fields."""
    field = partial(FieldDescriptorProto, label=FieldDescriptorProto.LABEL_OPTIONAL)
    text = partial(field, type=FieldDescriptorProto.TYPE_BYTES)
    several = partial(field, type=FieldDescriptorProto.TYPE_MESSAGE, label=FieldDescriptorProto.LABEL_REPEATED)
    entry = DescriptorProto(name="Entry", field=[text(name="key", number=1), text(name="value", number=2)])
    entries = several(name="entries", number=1, type_name="Entry")
    descriptors = several(name="descriptors", number=2, type_name="Descriptor")
    messages = [
        entry,
        DescriptorProto(name="Descriptor", field=[entries]),
        DescriptorProto(name="Request", field=[descriptors]),
    ]
    pool = DescriptorPool()
    pool.Add(FileDescriptorProto(name="raw.proto", syntax="proto3", message_type=messages))
    return GetMessageClass(pool.FindMessageTypeByName("Request"))


_RAW: Final = _raw_request()
