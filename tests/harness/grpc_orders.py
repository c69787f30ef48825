"""A real gRPC backend: a service with every kind of call, with its descriptors and its HTTP annotations."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any, Final

import grpc
from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE: Final = "shop.v1"
SERVICE: Final = f"{PACKAGE}.Orders"
_STRING, _INT32 = descriptor_pb2.FieldDescriptorProto.TYPE_STRING, descriptor_pb2.FieldDescriptorProto.TYPE_INT32
_OPTIONAL = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
_FIELDS: Final = {
    "Order": (("id", _STRING), ("note", _STRING), ("pieces", _INT32)),
    "Asked": (("id", _STRING), ("pieces", _INT32)),
}
_METHODS: Final[tuple[tuple[str, str, bool, bool, dict[str, str]], ...]] = (
    ("Get", "Asked", False, False, {"get": "/v1/orders/{id}"}),
    ("Create", "Order", False, False, {"post": "/v1/orders", "body": "*"}),
    ("List", "Asked", False, True, {"get": "/v1/orders"}),
    ("Chat", "Order", True, True, {}),
)


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="shop/v1/orders.proto", package=PACKAGE, syntax="proto3")
    file.dependency.append("google/api/annotations.proto")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields, 1):
            message.field.add(name=field, json_name=field, number=number, type=kind, label=_OPTIONAL)
    service = file.service.add(name="Orders")
    for name, asked, streams, streamed, rule in _METHODS:
        method = service.method.add(
            name=name,
            input_type=f".{PACKAGE}.{asked}",
            output_type=f".{PACKAGE}.Order",
            client_streaming=streams,
            server_streaming=streamed,
        )
        if rule:
            method.options.Extensions[annotations_pb2.http].CopyFrom(http_pb2.HttpRule(**rule))
    return file


def descriptor_set() -> bytes:
    """What ``protoc --include_imports --descriptor_set_out`` writes."""
    files = descriptor_pb2.FileDescriptorSet()
    for one in (descriptor_pb2.DESCRIPTOR, http_pb2.DESCRIPTOR, annotations_pb2.DESCRIPTOR):
        one.CopyToProto(files.file.add())
    files.file.append(_file())
    return files.SerializeToString()


def _classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(descriptor_set()).file:
        pool.Add(file)
    names = {name: pool.FindMessageTypeByName(f"{PACKAGE}.{name}") for name in _FIELDS}
    return {name: message_factory.GetMessageClass(found) for name, found in names.items()}


_CLASSES: Final = _classes()
Order: Final = _CLASSES["Order"]
Asked: Final = _CLASSES["Asked"]


class Orders:
    """Answers calls, and remembers the metadata of each. The order ``missing`` is not there."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.calls: list[tuple[str, dict[str, str | bytes]]] = []

    def note(self, method: str, context: grpc.ServicerContext) -> None:
        """A call has come."""
        self.calls.append((method, dict(context.invocation_metadata())))
        context.set_trailing_metadata((("x-cost", "7"),))

    def get(self, asked: Any, context: grpc.ServicerContext) -> Any:
        """One order, or a status of the backend's own."""
        self.note("Get", context)
        if asked.id == "missing":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such order: 100% sure")
        return Order(id=asked.id, note="one", pieces=asked.pieces)

    def create(self, order: Any, context: grpc.ServicerContext) -> Any:
        """The order as it was sent."""
        self.note("Create", context)
        return order

    def list(self, asked: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """So many orders as pieces were asked for."""
        self.note("List", context)
        for number in range(asked.pieces):
            yield Order(id=str(number))

    def chat(self, orders: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        """Each order as it comes."""
        self.note("Chat", context)
        yield from orders


@contextmanager
def running_orders() -> Iterator[Orders]:
    """The service, on a port of its own."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    orders = Orders(server.add_insecure_port("127.0.0.1:0"))
    kinds = {
        "Get": (grpc.unary_unary_rpc_method_handler, orders.get, Asked),
        "Create": (grpc.unary_unary_rpc_method_handler, orders.create, Order),
        "List": (grpc.unary_stream_rpc_method_handler, orders.list, Asked),
        "Chat": (grpc.stream_stream_rpc_method_handler, orders.chat, Order),
    }
    handlers = {
        name: make(do, request_deserializer=asked.FromString, response_serializer=Order.SerializeToString)
        for name, (make, do, asked) in kinds.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.start()
    try:
        yield orders
    finally:
        server.stop(None).wait()


def call(channel: grpc.Channel, name: str) -> Any:
    """A callable for one of the methods."""
    method = next(one for one in _METHODS if one[0] == name)
    _, asked, streams, streamed, _ = method
    kind = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, True): channel.stream_stream,
    }[streams, streamed]
    return kind(
        f"/{SERVICE}/{name}",
        request_serializer=_CLASSES[asked].SerializeToString,
        response_deserializer=Order.FromString,
    )
