"""The document: the user's language, read with line numbers, every mistake at once. Pure: text in, value out."""

from controlplane.config.document import GatewayConfig
from controlplane.config.loading import load_document
from controlplane.config.problems import ConfigError, Places, Position, Problem
from controlplane.config.schema import json_schema

__all__ = [
    "ConfigError",
    "GatewayConfig",
    "Places",
    "Position",
    "Problem",
    "json_schema",
    "load_document",
]
