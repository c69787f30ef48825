"""Talks to the control plane for ever: connects, says what a conversation has to say, reconnects."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Protocol

import grpc
import grpc.aio
import structlog
from envoy.service.discovery.v3.ads_pb2_grpc import AggregatedDiscoveryServiceStub
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from servicekit.settings import XdsClientSettings
from servicekit.tls import Channels

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 0.5
"""Seconds before a reconnect: at most the first, doubled after each failure up to the longest; drawn evenly below.
Short: who comes back after the proxies did does not know the rules that they ask for."""

CHANNEL_OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
]

_log = structlog.get_logger(__name__)


class Conversation(Protocol):
    """What one client says, on one stream after the other."""

    def first_request(self) -> DeltaDiscoveryRequest:
        """What a new stream begins with."""

    def answer(self, response: DeltaDiscoveryResponse) -> DeltaDiscoveryRequest:
        """ACK or NACK."""


class XdsStream:
    """One delta ADS stream at a time.

    Args:
        conversation: what is said on it.
        connected: is told whether the control plane is there.
    """

    def __init__(
        self, *, settings: XdsClientSettings, conversation: Conversation, connected: Callable[[bool], None]
    ) -> None:
        self._settings = settings
        self._conversation = conversation
        self._tell_connected = connected

    async def run(self) -> None:
        """Follow the control plane for ever."""
        pause = FIRST_PAUSE
        channels = Channels(self._settings.xds_address, self._settings, CHANNEL_OPTIONS)
        try:
            while True:
                began = time.monotonic()
                taken = await self.connection(await channels.current())
                lasted = taken and time.monotonic() - began > LONGEST_PAUSE  # else each refusal would be asked for
                pause = FIRST_PAUSE if lasted else min(pause * 2, LONGEST_PAUSE)
                await asyncio.sleep(random.uniform(0, pause))  # noqa: S311  spreads reconnects; nothing secret
        finally:
            await channels.close()

    async def connection(self, channel: grpc.aio.Channel) -> bool:
        """One stream from its beginning to its end; whether the control plane took it.

        One that has nothing new to say takes the stream all the same: with the response's headers.
        """
        taken = False
        call = AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources()
        try:
            await call.write(self._conversation.first_request())
            await call.initial_metadata()
            taken = not call.done()
            if taken:
                self._tell_connected(True)
                _log.info("connected to the control plane", address=str(self._settings.xds_address))
            while (response := await call.read()) is not grpc.aio.EOF:
                await call.write(self._conversation.answer(response))
        except grpc.aio.AioRpcError as error:
            level = _log.warning if taken else _log.debug
            level("the control plane is away", code=error.code().name, reason=error.details())
        except asyncio.InvalidStateError:  # the stream ended between reading and answering
            _log.warning("the control plane is away", reason="the stream ended before the answer")
        finally:
            self._tell_connected(False)
            call.cancel()
        return taken
