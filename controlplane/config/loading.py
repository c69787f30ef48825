"""A document's text to :class:`GatewayConfig`."""

from __future__ import annotations

from pydantic import ValidationError

from controlplane.config.document import GatewayConfig
from controlplane.config.explain import explain
from controlplane.config.parts import is_in_parts, parse_parts
from controlplane.config.problems import MAX_LISTED, ConfigError, Problem
from controlplane.config.references import dangling
from controlplane.config.yaml_text import Text, parse_yaml


def load_document(source: bytes, *, origin: str) -> GatewayConfig:
    """Read a document from YAML or JSON.

    Args:
        source: UTF-8, at most 4 MiB; one text, or several files that :func:`~controlplane.config.parts.join_parts`
            made one.
        origin: what problems call the document, usually its file name.

    Raises:
        ConfigError: it has mistakes. As many as can be seen at once are named, each with its position.
    """
    text = parse_parts(source, origin=origin) if is_in_parts(source) else parse_yaml(source, origin=origin)
    try:
        document = GatewayConfig.placed(text.data, text.places)
    except ValidationError as error:
        unlisted = max(0, error.error_count() - MAX_LISTED)
        raise ConfigError([*text.problems, *_problems(text, error)], unlisted=unlisted) from None
    if text.problems:
        raise ConfigError([*text.problems, *(text.places.locate(problem) for problem in dangling(text.data))])
    return document


def _problems(text: Text, error: ValidationError) -> list[Problem]:
    """What is wrong with the shape and the names, without what follows from a problem that the text has already."""
    known = {problem.path for problem in text.problems if problem.code == "no-value"}
    found = [*explain(error, GatewayConfig), *dangling(text.data)]
    return [text.places.locate(problem) for problem in found if problem.path not in known]
