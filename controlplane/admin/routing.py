"""What all routers of the API have in common."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.routing import APIRoute

BASE = "/api/v1"


def api_router(tag: str) -> APIRouter:
    """A router for operations below :data:`BASE`, which are called what their functions are called."""
    return APIRouter(prefix=BASE, tags=[tag], generate_unique_id_function=_operation_id)


def _operation_id(route: APIRoute) -> str:
    return route.name
