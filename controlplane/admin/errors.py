"""Every error of the admin API as a problem document (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from servicekit.problems import MEDIA_TYPE, problem


class ApiError(Exception):
    """An answer that is not a success."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: object
    ) -> None:
        super().__init__(detail)
        self.response = Response(
            problem(status, code, detail, **members), status, media_type=MEDIA_TYPE, headers=headers
        )


def install(app: FastAPI) -> None:
    """Make ``app`` answer every error with a problem document."""

    async def from_api(_request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)  # noqa: S101  registered for this type only
        return error.response

    async def from_http(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101  registered for this type only
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        return ApiError(error.status_code, code, str(error.detail), headers=error.headers).response

    async def from_validation(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101  registered for this type only
        wrong = [{"pointer": "/" + "/".join(map(str, e["loc"])), "detail": e["msg"]} for e in error.errors()]
        return ApiError(
            422, "invalid-request", "The request does not have the form that is expected.", errors=wrong
        ).response

    app.add_exception_handler(ApiError, from_api)
    app.add_exception_handler(HTTPException, from_http)
    app.add_exception_handler(RequestValidationError, from_validation)
