"""Reading what a request carries: bounded, strict, and only in the forms that are expected."""

from __future__ import annotations

import json
import math
from email.message import Message
from typing import Any, NoReturn

from fastapi import Request

from controlplane.admin.errors import ApiError

LARGEST_DOCUMENT = 4 * 1024 * 1024
LARGEST_RESOURCE = 512 * 1024
MAX_DEPTH = 32

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
YAML = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")


async def read_document(request: Request) -> tuple[bytes, bool]:
    """A document, and whether it is JSON. Without a content type it is YAML.

    Raises:
        ApiError: 413, it is too large; 415, it is neither.
    """
    media_type = _media_type(request)
    if media_type not in ("", JSON, *YAML):
        raise _unsupported(f"A document is sent as {YAML[0]} or {JSON}.")
    return await read_bounded(request, LARGEST_DOCUMENT), media_type == JSON


async def read_json(request: Request, *, media_type: str = JSON, largest: int = LARGEST_RESOURCE) -> Any:
    """A JSON value.

    Raises:
        ApiError: 400, it is no JSON (or has duplicate members); 413, it is too large; 415, it says to be something
            else; 422, it is nested too deep.
    """
    if _media_type(request) != media_type:
        raise _unsupported(f"This is sent as {media_type}.")
    return parse_json(await read_bounded(request, largest))


def parse_json(body: bytes) -> Any:
    """Strictly (RFC 8259): no duplicate members, no NaN, no infinities, text that Unicode has.

    Raises:
        ApiError: 400, it is no JSON; 422, it is nested more than :data:`MAX_DEPTH` deep.
    """
    try:
        value = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
    except RecursionError:
        raise _too_deep() from None
    except (ValueError, UnicodeDecodeError) as error:
        raise ApiError(400, "malformed", f"The body is not JSON: {_reason(error)}.") from None
    if not _is_shallow(value):
        raise _too_deep()
    return value


async def read_bounded(request: Request, largest: int) -> bytes:
    """The body.

    Raises:
        ApiError: 413, it has more than ``largest`` bytes; it is not read further then.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > largest:
            raise ApiError(413, "too-large", f"The body has at most {largest} bytes.")
    return bytes(body)


def _media_type(request: Request) -> str:
    given = request.headers.get("content-type", "")
    if not given:
        return ""
    parsed = Message()
    parsed["content-type"] = given
    charset = parsed.get_param("charset", "utf-8")
    if str(charset).lower() not in ("utf-8", "utf8"):
        raise _unsupported("Only UTF-8 is read.")
    return given.partition(";")[0].strip().lower()


def _unsupported(detail: str) -> ApiError:
    return ApiError(415, "unsupported-media-type", detail, headers={"accept": ", ".join((JSON, MERGE_PATCH, YAML[0]))})


def _too_deep() -> ApiError:
    return ApiError(422, "too-deep", f"Values are nested more than {MAX_DEPTH} deep.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has two members of one name")
    return found


def _constant(_text: str) -> NoReturn:
    raise ValueError("a number is not finite")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is not finite")
    return value


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            member
            for one in level
            if isinstance(one, (dict, list))
            for member in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return True
    return False
