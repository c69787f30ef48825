"""``/api/v1/status`` and ``/api/v1/validate``: what is live, what was refused, what would be."""

from __future__ import annotations

import asyncio
from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel

from controlplane.admin.errors import ApiError
from controlplane.config import ConfigError, Problem, load_document
from controlplane.model import Gateway
from controlplane.pipeline import Pipeline
from controlplane.store import Outcome

_LARGEST_DOCUMENT = 4 * 1024 * 1024


class ProblemOut(BaseModel):
    """One mistake in a document."""

    where: str
    code: str
    message: str
    hint: str | None

    @classmethod
    def of(cls, problem: Problem) -> ProblemOut:
        """As the API shows it."""
        return cls(where=problem.where, code=problem.code, message=problem.message, hint=problem.hint)


class StatusOut(BaseModel):
    """What is live, and what was refused last."""

    origin: str
    digest: str
    """Hash of everything that the live document means."""
    revision: int | None
    """Its number in the history; null when no history is kept."""
    outcome: Outcome
    """Whether every connected node has acknowledged it."""
    live_since: datetime | None
    listeners: list[str]
    upstreams: list[str]
    routes: list[str]
    refused: list[ProblemOut]
    refused_at: datetime | None


class ValidOut(BaseModel):
    """A document without mistakes."""

    listeners: int
    upstreams: int
    routes: int


def config_router(pipeline: Pipeline) -> APIRouter:
    """Routes about the document."""
    router = APIRouter(tags=["config"])

    @router.get("/status")
    async def status() -> StatusOut:
        """What is live, and why the newest document is not if it was refused."""
        now = pipeline.status
        return StatusOut(
            origin=now.origin,
            digest=now.digest,
            revision=now.number,
            outcome=now.outcome,
            live_since=now.live_since,
            listeners=[listener.name for listener in now.gateway.listeners] if now.gateway else [],
            upstreams=[upstream.name for upstream in now.gateway.upstreams] if now.gateway else [],
            routes=[route.name for route in now.gateway.routes] if now.gateway else [],
            refused=[ProblemOut.of(problem) for problem in now.refused],
            refused_at=now.refused_at,
        )

    @router.post("/validate")
    async def validate(request: Request) -> ValidOut:
        """Check the document in the body (YAML or JSON) without applying it; 422 names every mistake."""
        body = await _read_bounded(request)
        try:
            gateway = await asyncio.to_thread(_compile, pipeline, body)
        except ConfigError as error:
            wrong = [ProblemOut.of(problem).model_dump() for problem in error.problems]
            raise ApiError(422, "invalid-document", f"{len(wrong)} mistake(s) in the document.", errors=wrong) from None
        return ValidOut(listeners=len(gateway.listeners), upstreams=len(gateway.upstreams), routes=len(gateway.routes))

    return router


async def _read_bounded(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_DOCUMENT:
            raise ApiError(413, "too-large", f"A document has at most {_LARGEST_DOCUMENT} bytes.")
    return body


def _compile(pipeline: Pipeline, body: bytes) -> Gateway:
    return pipeline.compile(load_document(body, origin="request")).gateway
