"""Keeps a set of values up to date that is too large to be sent whole for every change: parts, and a list of them.

The part called :data:`INDEX` lists the names of all others. Only what it no longer lists is dropped: a control plane
that has nothing yet, or nothing any more, takes nothing away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

import structlog
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from google.rpc.code_pb2 import INVALID_ARGUMENT

from servicekit.contracts import Contract, ContractError
from servicekit.settings import XdsClientSettings
from servicekit.xds.last_good import LastGood, Policy
from servicekit.xds.stream import XdsStream

C = TypeVar("C", bound=Contract)

INDEX: Final = "index"

_log = structlog.get_logger(__name__)


class XdsCollection(Generic[C]):
    """All resources of one type, over one delta ADS stream.

    What is there stays while the control plane is away. With :attr:`XdsClientSettings.state_dir` it is also what a
    restart begins with.

    Args:
        contract: the type of the parts.
        listed: the names that the index has.
        apply: is told of parts that are new or other ones, of those that are not there any more, and whether now
            all are there that the index lists.
        user_agent: what this process is.
        connected: is told whether the control plane is there.
    """

    def __init__(
        self,
        *,
        settings: XdsClientSettings,
        contract: type[C],
        listed: Callable[[C], tuple[str, ...]],
        apply: Callable[[Mapping[str, C], frozenset[str], bool], None],
        user_agent: str,
        connected: Callable[[bool], None],
    ) -> None:
        self._settings = settings
        self._contract = contract
        self._listed = listed
        self._put_in_force = apply
        self._user_agent = user_agent
        self._versions: dict[str, str] = {}
        self._names: frozenset[str] | None = None
        """What the index lists; ``None`` before there was one."""
        self._stream = XdsStream(settings=settings, conversation=self, connected=connected)

    async def run(self) -> None:
        """Begin with what the disk has, then follow the control plane for ever."""
        self.begin()
        await self._stream.run()

    def begin(self) -> None:
        """Take what the disk has. :meth:`run` does it first of all."""
        index = self._file(INDEX).load()
        if index is None:
            return
        try:
            names = self._listed(self._contract.decode(index.body))
            stored = {name: part for name in names if (part := self._file(name).load()) is not None}
            parts = {name: self._contract.decode(part.body) for name, part in stored.items()}
        except ContractError as error:
            _log.warning("what was kept can't be read any more; starting without", reason=str(error))
            return
        self._names = frozenset(names)
        self._versions = {name: part.version for name, part in stored.items()} | {INDEX: index.version}
        self._put_in_force(parts, frozenset(), self._is_complete())

    def first_request(self) -> DeltaDiscoveryRequest:
        """Who is asking, for everything, and what it has already."""
        request = DeltaDiscoveryRequest(type_url=self._contract.TYPE_URL, resource_names_subscribe=["*"])
        request.node.id, request.node.cluster = self._settings.node_id, self._settings.node_group
        request.node.user_agent_name = self._user_agent
        request.initial_resource_versions.update(self._versions)
        return request

    def answer(self, response: DeltaDiscoveryResponse) -> DeltaDiscoveryRequest:
        """Take what came, all of it or nothing: the ACK, or the NACK with the reason (``error_detail``)."""
        request = DeltaDiscoveryRequest(type_url=self._contract.TYPE_URL, response_nonce=response.nonce)
        came = {one.name: Policy(one.version, one.resource.value) for one in response.resources}
        try:
            parts = {name: self._contract.decode(part.body) for name, part in came.items()}
        except ContractError as error:
            _log.error("parts of a collection were refused; the last good ones stay", reason=str(error))
            request.error_detail.code = INVALID_ARGUMENT
            request.error_detail.message = str(error)
            return request
        self._take(came, parts)
        return request

    def _take(self, came: Mapping[str, Policy], parts: Mapping[str, C]) -> None:
        self._versions.update({name: part.version for name, part in came.items()})
        dropped: frozenset[str] = frozenset()
        if (index := parts.get(INDEX)) is not None:  # else it may be on its way, and list what has come already
            self._names = frozenset(self._listed(index))
            dropped = frozenset(self._versions) - self._names - {INDEX}
        for name in dropped:
            del self._versions[name]
        news = {name: part for name, part in parts.items() if name in self._versions and name != INDEX}
        self._put_in_force(news, dropped, self._is_complete())
        self._keep(came, dropped)

    def _keep(self, came: Mapping[str, Policy], dropped: frozenset[str]) -> None:
        """The index last, so that what it lists is there."""
        for name in sorted(came, key=lambda name: name == INDEX):
            if name in self._versions:
                self._file(name).save(came[name])
        for name in dropped:
            self._file(name).forget()

    def _is_complete(self) -> bool:
        return self._names is not None and self._names <= self._versions.keys()

    def _file(self, name: str) -> LastGood:
        return LastGood(self._settings.state_dir, f"{self._contract.__name__}-{name}")
