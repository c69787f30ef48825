"""Keeps one policy up to date: asks for it, puts it in force, remembers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import grpc.aio
import structlog
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from prometheus_client import CollectorRegistry, Counter, Gauge

from servicekit.contracts import Contract, ContractError
from servicekit.settings import XdsClientSettings
from servicekit.xds.last_good import LastGood, Policy
from servicekit.xds.session import RejectedError, Session
from servicekit.xds.stream import XdsStream

C = TypeVar("C", bound=Contract)

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
        connected = Gauge("gateway_xds_connected", "Whether the control plane is there.", registry=registry)
        self._policies = Counter("gateway_xds_policies", "Policies received.", ["outcome"], registry=registry)
        self._stream = XdsStream(settings=settings, conversation=self, connected=connected.set)

    def complaint(self) -> str | None:
        """Why this process can't decide: it has no policy yet."""
        return "no policy yet" if self._current is None else None

    async def run(self) -> None:
        """Begin with what the disk has, then follow the control plane for ever."""
        self.begin()
        await self._stream.run()

    async def connection(self, channel: grpc.aio.Channel) -> bool:
        """See :meth:`XdsStream.connection`."""
        return await self._stream.connection(channel)

    def first_request(self) -> DeltaDiscoveryRequest:
        """What a new stream begins with."""
        return self._session.first_request(
            node_id=self._settings.node_id,
            group=self._settings.node_group,
            user_agent=self._user_agent,
            have=self._current,
        )

    def answer(self, response: DeltaDiscoveryResponse) -> DeltaDiscoveryRequest:
        """See :meth:`Session.answer`."""
        return self._session.answer(response)

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
