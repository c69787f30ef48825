"""The HTTP endpoints that clients of envoyproxy/ratelimit know: ``/json``, ``/rlconfig`` and ``/healthcheck``."""

from __future__ import annotations

from collections.abc import Callable

from envoy.service.ratelimit.v3.rls_pb2 import RateLimitRequest, RateLimitResponse
from google.protobuf import json_format
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from ratelimit_service.rules.service import RequestError, RuleService
from ratelimit_service.rules.tree import Domains, dump
from servicekit.health import Health

MAX_BODY = 1024 * 1024
"""Bytes of a question."""


def routes(service: RuleService, rules: Callable[[], Domains], health: Health) -> list[BaseRoute]:
    """The three endpoints."""

    async def json(request: Request) -> Response:
        try:
            asked = json_format.Parse(await _body(request), RateLimitRequest())
            answer = await service.answer(asked)
        except (json_format.ParseError, RequestError, UnicodeDecodeError, RecursionError) as error:
            return PlainTextResponse(f"{error}\n", status_code=400)
        status = 429 if answer.overall_code == RateLimitResponse.OVER_LIMIT else 200
        return Response(
            json_format.MessageToJson(answer, indent=None), status_code=status, media_type="application/json"
        )

    async def rlconfig(_request: Request) -> Response:
        return PlainTextResponse(dump(rules()))

    async def healthcheck(_request: Request) -> Response:
        complaints = health.complaints()
        return PlainTextResponse("\n".join(complaints.values()) or "OK", status_code=500 if complaints else 200)

    return [
        Route("/json", json, methods=["POST"]),
        Route("/rlconfig", rlconfig),
        Route("/healthcheck", healthcheck),
    ]


async def _body(request: Request) -> str:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise RequestError(f"the question is larger than {MAX_BODY} bytes")
    return body.decode()
