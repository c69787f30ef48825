"""The edge: Envoy's ``Authorization.Check`` over grpc.aio."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from typing import Final

import grpc
import grpc.aio
import structlog
from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest

from ext_authz.authorization import RequestFacts
from ext_authz.checker import Answer, Checker, NeedsRule
from ext_authz.client_address import client_address
from ext_authz.metrics import Metrics
from ext_authz.renewal import Renewals
from ext_authz.tracing import CheckTracer
from servicekit.contracts.auth_policy import RULE_EXTENSION

SERVICE: Final = "envoy.service.auth.v3.Authorization"
MAX_WAIT: Final = 1.0
"""Seconds that a check waits at most for an identity provider or a policy; less when Envoy's own deadline is nearer."""
_SHARE_OF_DEADLINE: Final = 0.8

_log = structlog.get_logger(__name__)


class CheckService:
    """Answers ``Check``; a fault in one check is a gRPC error of that check alone."""

    def __init__(
        self,
        *,
        checker: Checker[bytes],
        metrics: Metrics,
        clock: Callable[[], float],
        tracer: CheckTracer | None = None,
        renewals: Renewals[bytes] | None = None,
    ) -> None:
        self._checker = checker
        self._renewals = renewals
        self._metrics = metrics
        self._clock = clock
        self._tracer = tracer

    async def check(self, request: CheckRequest, context: grpc.aio.ServicerContext[CheckRequest, bytes]) -> bytes:
        """One check: a serialised ``CheckResponse``."""
        began = self._clock()
        try:
            answer = await self._answer(request, context)
        except Exception as error:  # noqa: BLE001 -- whatever it was, it must end this check only
            self._ended(request, "", "error", "internal", self._clock() - began)
            # Neither the message nor the values of the frames: both could hold a token.
            _log.error("check failed", error=type(error).__name__, where=traceback.format_tb(error.__traceback__))
            await context.abort(grpc.StatusCode.INTERNAL, "internal error")
        seconds = self._clock() - began
        if self._tracer is None:
            self._metrics.check(answer.provider, answer.outcome, answer.reason, seconds)
        else:
            self._ended(request, answer.provider, answer.outcome, answer.reason, seconds)
        return answer.rendered

    def _ended(self, request: CheckRequest, provider: str, outcome: str, reason: str, seconds: float) -> None:
        self._metrics.check(provider, outcome, reason, seconds)
        if self._tracer is not None:
            attributes = request.attributes
            self._tracer.checked(
                attributes.request.http.headers,
                rule=attributes.context_extensions.get(RULE_EXTENSION, ""),
                provider=provider,
                outcome=outcome,
                reason=reason,
                seconds=seconds,
            )

    async def _answer(
        self, request: CheckRequest, context: grpc.aio.ServicerContext[CheckRequest, bytes]
    ) -> Answer[bytes]:
        attributes = request.attributes
        rule_id = attributes.context_extensions.get(RULE_EXTENSION, "")
        headers = attributes.request.http.headers
        facts = partial(_facts, attributes)
        found = self._checker.check(rule_id, headers, facts)
        if isinstance(found, Answer) and (found.allowed or self._renewals is None):
            return found
        remaining = context.time_remaining()
        patience = MAX_WAIT if remaining is None else min(MAX_WAIT, remaining * _SHARE_OF_DEADLINE)
        if isinstance(found, NeedsRule):
            found = await self._checker.check_with_rule(rule_id, headers, patience, facts)
        elif not isinstance(found, Answer):
            found = await self._checker.check_with(rule_id, headers, found, patience, facts)
        if self._renewals is None or found.allowed:
            return found
        return await self._renewals.renew(rule_id, headers, found, patience, facts)

    def handler(self) -> grpc.GenericRpcHandler:
        """What :meth:`grpc.aio.Server.add_generic_rpc_handlers` takes. Answers are bytes already."""
        check = grpc.unary_unary_rpc_method_handler(
            self.check, request_deserializer=CheckRequest.FromString, response_serializer=None
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"Check": check})


def _facts(attributes: AttributeContext) -> RequestFacts:
    http = attributes.request.http
    return RequestFacts(http.method, client_address(attributes), http.path)
