"""The JSON Schema of the document, for editors and for the generated reference."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from controlplane.config.document import GatewayConfig
from controlplane.config.durations import format_duration
from controlplane.config.percent import format_percent

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema (2020-12) that every valid document fulfils.

    What only shows between parts of a document, such as whether a name exists, is not in it.
    """
    schema = GatewayConfig.model_json_schema(schema_generator=_Generator)
    return {"$schema": _DIALECT, **schema, "title": "API gateway document"}


class _Generator(GenerateJsonSchema):
    """Writes durations and shares as the document does, and no ``null``, for the document has none."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        result = super().default_schema(schema)
        default = _without_none(result.pop("default", None))
        if default is None:
            return result
        return {**result, "default": _as_written(default, result)}

    def field_title_should_be_set(self, _schema: Any) -> bool:
        """Never: a title would repeat the key."""
        return False


def _as_written(default: Any, schema: JsonSchemaValue) -> Any:
    if isinstance(default, (int, float)):
        if "x-duration" in schema:
            return format_duration(default)
        if "x-percent" in schema:
            return format_percent(default)
    return default


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
