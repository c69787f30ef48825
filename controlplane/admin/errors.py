"""Every error of the admin API as a problem document (RFC 9457), and how the OpenAPI document declares them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match

from controlplane.config import ConfigError, Problem
from servicekit.problems import MEDIA_TYPE, problem


class ApiError(Exception):
    """An answer that is not a success."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: object
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.response = Response(
            problem(status, code, detail, **members), status, media_type=MEDIA_TYPE, headers=headers
        )


class MistakeOut(BaseModel):
    """One thing that is wrong with what was sent."""

    pointer: str | None = None
    """Where in the request (JSON Pointer, RFC 6901); null when the mistake is not in what was sent."""
    where: str | None = None
    """Where in the document: `origin:line:column`."""
    code: str
    """A short stable word for machines."""
    message: str
    hint: str | None = None
    """What to do about it."""


class ProblemOut(BaseModel):
    """RFC 9457. Other members may come along."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[MistakeOut] = []
    unlisted: int = 0
    """How many more mistakes there are than `errors` lists."""


def mistake_of(problem: Problem, pointer: str | None = None) -> MistakeOut:
    """A problem of a document, as the API shows it."""
    return MistakeOut(
        pointer=pointer, where=problem.where or None, code=problem.code, message=problem.message, hint=problem.hint
    )


def mistakes_of(errors: Iterable[Mapping[str, Any]]) -> list[MistakeOut]:
    """What pydantic found wrong with what was sent."""
    return [
        MistakeOut(pointer=pointer_to(one["loc"]), code=str(one["type"]), message=str(one["msg"])) for one in errors
    ]


def invalid(
    mistakes: Sequence[MistakeOut], *, detail: str, code: str, unlisted: int = 0, status: int = 422
) -> ApiError:
    """An error that lists mistakes."""
    listed = [one.model_dump() for one in mistakes]
    return ApiError(status, code, detail, errors=listed, unlisted=unlisted)


def invalid_document(error: ConfigError, pointers: Iterable[str | None]) -> ApiError:
    """422: the document, or what it would become, has mistakes. ``pointers`` says where in the request each one is."""
    mistakes = [mistake_of(one, pointer) for one, pointer in zip(error.problems, pointers, strict=True)]
    count = len(mistakes) + error.unlisted
    detail = f"{count} mistake{'' if count == 1 else 's'} in the document."
    return invalid(mistakes, detail=detail, code="invalid-document", unlisted=error.unlisted)


def pointer_to(steps: Iterable[str | int]) -> str:
    """A JSON Pointer (RFC 6901 §3)."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of an operation for its ``responses``, with those that every one can have."""
    return {status: _declared(status) for status in sorted({400, 401, 403, 421, 429, 503, *statuses})}


def _declared(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    said: dict[str, Any] = {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
    if status in (401, 403):
        said["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}
    if status == 429:
        said["headers"] = {"Retry-After": {"required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}}}
    return said


def install(app: FastAPI) -> None:
    """Make ``app`` answer every error with a problem document."""

    async def from_api(_request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)  # noqa: S101  registered for this type only
        return error.response

    async def from_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101  registered for this type only
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["allow"] = ", ".join(sorted(_allowed(app, request)))
            if request.method == "OPTIONS":
                return Response(status_code=204, headers={"allow": headers["allow"]})
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        return ApiError(error.status_code, code, str(error.detail), headers=headers).response

    async def from_validation(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101  registered for this type only
        detail = "The request does not have the form that is expected."
        return invalid(mistakes_of(error.errors()), detail=detail, code="invalid-request").response

    async def from_a_mistake_of_ours(_request: Request, _error: Exception) -> Response:
        # The server logs it; what it is about is nobody else's business.
        return ApiError(
            500, "internal-error", "Something is wrong with the gateway itself; its log says more."
        ).response

    app.add_exception_handler(Exception, from_a_mistake_of_ours)
    app.add_exception_handler(ApiError, from_api)
    app.add_exception_handler(HTTPException, from_http)
    app.add_exception_handler(RequestValidationError, from_validation)


def _allowed(app: FastAPI, request: Request) -> set[str]:
    """Every method of the path, which may have several routes."""
    found: set[str] = {"OPTIONS"}
    for route in app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            found |= set(getattr(route, "methods", None) or ())
    return found | ({"HEAD"} if "GET" in found else set())
