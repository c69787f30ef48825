"""What a client says on one delta stream, for one resource of one type. Pure: responses in, requests out."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from google.rpc.code_pb2 import INVALID_ARGUMENT

from servicekit.xds.last_good import Policy

_log = structlog.get_logger(__name__)

RESOURCE_NAME = "default"
"""The one resource of each of our types."""

_LONGEST_REASON = 4096


class RejectedError(Exception):
    """The client refuses a policy; the text tells the control plane why."""


class Session:
    """One stream's side of the conversation.

    Args:
        type_url: of the policy.
        apply: puts a policy in force, all of it, or raises :class:`RejectedError`.
    """

    def __init__(self, *, type_url: str, apply: Callable[[Policy], None]) -> None:
        self._type_url = type_url
        self._apply = apply

    def first_request(self, *, node_id: str, group: str, user_agent: str, have: Policy | None) -> DeltaDiscoveryRequest:
        """Who is asking, for what, and what it has already."""
        request = DeltaDiscoveryRequest(type_url=self._type_url, resource_names_subscribe=[RESOURCE_NAME])
        request.node.id, request.node.cluster, request.node.user_agent_name = node_id, group, user_agent
        if have is not None:
            request.initial_resource_versions[RESOURCE_NAME] = have.version
        return request

    def answer(self, response: DeltaDiscoveryResponse) -> DeltaDiscoveryRequest:
        """Put what came in force: the ACK, or the NACK with the reason (``error_detail``)."""
        request = DeltaDiscoveryRequest(type_url=self._type_url, response_nonce=response.nonce)
        if RESOURCE_NAME in response.removed_resources:
            # Nothing to enforce is not the same as allowing all or nothing: what was agreed last goes on.
            _log.warning("the control plane has no policy; the last one stays in force", type_url=self._type_url)
        try:
            for resource in response.resources:
                if resource.name == RESOURCE_NAME:
                    self._apply(Policy(resource.version, resource.resource.value))
        except RejectedError as error:
            request.error_detail.code = INVALID_ARGUMENT
            request.error_detail.message = str(error)[:_LONGEST_REASON]
        return request
