"""The edge: Envoy's ``ExternalProcessor.Process`` over grpc.aio."""

from __future__ import annotations

import traceback
from typing import Any, Final, cast

import grpc
import grpc.aio
import structlog
from envoy.service.ext_proc.v3.external_processor_pb2 import ProcessingRequest, ProcessingResponse

from response_cache import messages
from response_cache.exchange import Exchange, Shared
from servicekit.contracts.base import ContractError
from servicekit.contracts.cache_rule import RULE_METADATA

SERVICE: Final = "envoy.service.ext_proc.v3.ExternalProcessor"

_log = structlog.get_logger(__name__)


class CacheService:
    """Answers one call for each request; a fault in one is a gRPC error of that one alone, which Envoy passes over."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def process(self, _: Any, context: Any) -> None:
        """One request to a cached route."""
        try:
            await self._process(context)
        except ContractError as error:
            self._shared.metrics.fault()
            _log.error("a route's cache rule can't be read", reason=str(error))
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the rule can't be read")
        except Exception as error:  # noqa: BLE001 -- whatever it was, it must end this request's call only
            self._shared.metrics.fault()
            # Neither the message nor the values of the frames: both could hold what a client sent.
            _log.error("caching failed", error=type(error).__name__, where=traceback.format_tb(error.__traceback__))
            await context.abort(grpc.StatusCode.INTERNAL, "internal error")

    async def _process(self, context: Any) -> None:
        line = _Line(context)
        first = await line.receive()
        if first is not None:
            rule = messages.decode_rule(_rule(context))
            await Exchange(self._shared, messages.asked(first, rule), line).run()

    def handler(self) -> grpc.GenericRpcHandler:
        """What :meth:`grpc.aio.Server.add_generic_rpc_handlers` takes."""
        process = grpc.stream_stream_rpc_method_handler(
            self.process,
            request_deserializer=ProcessingRequest.FromString,
            response_serializer=ProcessingResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"Process": process})


class _Line:
    def __init__(self, context: Any) -> None:
        self._context = context

    async def send(self, response: ProcessingResponse) -> None:
        await self._context.write(response)

    async def receive(self) -> ProcessingRequest | None:
        message = await self._context.read()
        return None if message is grpc.aio.EOF else cast("ProcessingRequest", message)


def _rule(context: Any) -> bytes:
    for name, value in context.invocation_metadata() or ():
        if name == RULE_METADATA:
            return value if isinstance(value, bytes) else str(value).encode()
    return b""
