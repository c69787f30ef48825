"""The OpenAPI 3.1 document: FastAPI's own, with the document's schemas, problem documents and ways to log in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from controlplane.admin.api_key_bodies import ApiKeyChangeIn, ApiKeyIn, RotationIn
from controlplane.admin.editing import SECTIONS
from controlplane.admin.errors import ProblemOut
from controlplane.admin.limit_bodies import OverrideChangeIn, OverrideIn
from controlplane.admin.routers.limit_callers import CallerIn
from controlplane.admin.routers.resources import schema_name
from controlplane.admin.routers.tokens import TokenIn
from controlplane.config import json_schema

_REF = "#/components/schemas/"
_SECURITY: dict[str, Any] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The admin token, a token that was made with `POST /tokens`, or an OpenID Connect token.",
    },
    "certificate": {"type": "mutualTLS", "description": "A client certificate with a name that has a role."},
}


def openapi_of(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """What makes the document, once."""
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(_made(app))
        return made

    return openapi


def _made(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, tags=app.openapi_tags, routes=app.routes
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for model in (TokenIn, ApiKeyIn, ApiKeyChangeIn, RotationIn, OverrideIn, OverrideChangeIn, CallerIn):
        schemas |= _schemas_of(model.__name__, model)
    schemas |= _schemas_of("Problem", ProblemOut) | _document_schemas()
    components["securitySchemes"] = _SECURITY
    document["security"] = [{"bearer": []}]
    return document


def _schemas_of(name: str, model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=f"{_REF}{{model}}")
    return {name: schema, **schema.pop("$defs", {})}


def _document_schemas() -> dict[str, Any]:
    whole = json_schema()
    del whole["$schema"]
    parts = {f"Document{name}": _renamed(schema) for name, schema in whole.pop("$defs").items()}
    for section in SECTIONS.values():
        if not section.named_by_key:  # the URL has the name
            part = parts[schema_name(section)]
            part["required"] = [key for key in part.get("required", ()) if key != "name"]
    return {"Document": _renamed(whole), **parts}


def _renamed(value: Any) -> Any:
    """With every reference led to the components."""
    if isinstance(value, dict):
        return {
            key: f"{_REF}Document{inner.removeprefix('#/$defs/')}"
            if key == "$ref" and isinstance(inner, str)
            else _renamed(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_renamed(inner) for inner in value]
    return value
