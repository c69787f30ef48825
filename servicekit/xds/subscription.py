"""Keeps one policy up to date: connects, reconnects, puts in force, remembers."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import grpc
import grpc.aio
import structlog
from envoy.service.discovery.v3.ads_pb2_grpc import AggregatedDiscoveryServiceStub
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest
from prometheus_client import CollectorRegistry, Counter, Gauge

from servicekit.contracts import Contract, ContractError
from servicekit.settings import XdsClientSettings
from servicekit.tls import Channels
from servicekit.xds.last_good import LastGood, Policy
from servicekit.xds.session import RejectedError, Session

C = TypeVar("C", bound=Contract)

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


class XdsSubscription(Generic[C]):
    """One policy of one type, over one delta ADS stream.

    What was in force stays in force while the control plane is away, and when it sends what can't be enforced: that is
    answered with a NACK. With :attr:`XdsClientSettings.state_dir` it is also what a restart begins with.

    Args:
        contract: the policy's type.
        apply: puts a policy in force, all of it or nothing. May not block.
        refusals: what ``apply`` raises when it can't; the text goes to the control plane.
        user_agent: what this process is, such as ``gateway-ext-authz``.
    """

    def __init__(
        self,
        *,
        settings: XdsClientSettings,
        contract: type[C],
        apply: Callable[[C], None],
        refusals: tuple[type[Exception], ...],
        user_agent: str,
        registry: CollectorRegistry,
    ) -> None:
        self._settings = settings
        self._contract = contract
        self._put_in_force = apply
        self._refusals: tuple[type[Exception], ...] = (ContractError, *refusals)
        self._user_agent = user_agent
        self._session = Session(type_url=contract.TYPE_URL, apply=self._apply)
        self._last_good = LastGood(settings.state_dir, contract.__name__)
        self._current: Policy | None = None
        self._connected = Gauge("gateway_xds_connected", "Whether the control plane is there.", registry=registry)
        self._policies = Counter("gateway_xds_policies", "Policies received.", ["outcome"], registry=registry)

    def complaint(self) -> str | None:
        """Why this process can't decide: it has no policy yet."""
        return "no policy yet" if self._current is None else None

    async def run(self) -> None:
        """Begin with what the disk has, then follow the control plane for ever."""
        self.begin()
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
            await call.write(self._first_request())
            await call.initial_metadata()
            taken = not call.done()
            if taken:
                self._connected.set(1)
                _log.info("connected to the control plane", address=str(self._settings.xds_address))
            while (response := await call.read()) is not grpc.aio.EOF:
                await call.write(self._session.answer(response))
        except grpc.aio.AioRpcError as error:
            level = _log.warning if taken else _log.debug
            level("the control plane is away", code=error.code().name, reason=error.details())
        except asyncio.InvalidStateError:  # the stream ended between reading and answering
            _log.warning("the control plane is away", reason="the stream ended before the answer")
        finally:
            self._connected.set(0)
            call.cancel()
        return taken

    def _first_request(self) -> DeltaDiscoveryRequest:
        return self._session.first_request(
            node_id=self._settings.node_id,
            group=self._settings.node_group,
            user_agent=self._user_agent,
            have=self._current,
        )

    def begin(self) -> None:
        """Put the last good policy of the disk in force, if there is one. :meth:`run` does it first of all."""
        stored = self._last_good.load()
        if stored is None:
            return
        try:
            self._put_in_force(self._contract.decode(stored.body))
        except self._refusals as error:
            _log.warning("the last good policy can't be enforced any more; starting without", reason=str(error))
            return
        self._current = stored
        _log.info("the last good policy is in force until the control plane answers", version=stored.version)

    def _apply(self, policy: Policy) -> None:
        try:
            self._put_in_force(self._contract.decode(policy.body))
        except self._refusals as error:
            self._policies.labels("rejected").inc()
            _log.error("a policy was refused; the last good one stays in force", reason=str(error))
            raise RejectedError(str(error)) from None
        self._policies.labels("applied").inc()
        self._current = policy
        self._last_good.save(policy)
