"""One part of a document to be sent: YAML or JSON from a file, and the API's mistakes shown at its lines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from controlplane.config import ConfigError, Problem
from controlplane.config.problems import Path, Places
from controlplane.config.yaml_text import parse_yaml
from gateway.cli.admin_client import JSON, Body
from gateway.cli.document_file import DocumentFile, read_document
from gateway.cli.refusals import Mistake
from gateway.errors import CommandError

_INDEX = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PartFile:
    """What was read."""

    file: DocumentFile
    value: Any
    places: Places

    def body(self, media_type: str = JSON) -> Body:
        """As it is sent."""
        return replace(Body.of(self.value), media_type=media_type)

    def located(self, mistake: Mistake) -> Mistake:
        """The mistake at its line in this file, when it points into the request.

        Otherwise it is in the rest of the document, of which this file has no line.
        """
        if mistake.path.startswith("/"):
            path = pointed(mistake.path, self.value)
            for length in range(len(path), -1, -1):
                position = self.places.values.get(path[:length])
                if position is not None:
                    return replace(mistake, file="", line=position.line, column=position.column)
        return Mistake(message=str(mistake), code=mistake.code)


def read_part(name: str, *, nulls: bool = False) -> PartFile:
    """Read one part of a document.

    Args:
        name: of the file, or ``-``.
        nulls: whether ``null`` says something: in a patch it does.

    Raises:
        CommandError: it cannot be read, or is no YAML.
    """
    file = read_document(name)
    try:
        text = parse_yaml(file.text, origin=file.name)
    except ConfigError as error:
        raise CommandError(str(error)) from error
    removals = [one for one in text.problems if nulls and _is_removal(one)]
    if problems := [one for one in text.problems if one not in removals]:
        raise CommandError(str(ConfigError(problems)))
    for removal in removals:
        _put_null(text.data, removal.path)
    return PartFile(file, text.data, text.places)


def _is_removal(problem: Problem) -> bool:
    """Whether a document would lack a value where a patch has ``null`` as the value of a key."""
    return problem.code == "no-value" and bool(problem.path) and isinstance(problem.path[-1], str)


def _put_null(data: Any, path: Path) -> None:
    for step in path[:-1]:
        data = data[step]
    data[path[-1]] = None


def pointed(pointer: str, value: Any) -> Path:
    """The steps of a JSON Pointer (RFC 6901) as far as ``value`` has them."""
    path: list[str | int] = []
    for escaped in pointer.split("/")[1:]:
        step = escaped.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping) and step in value:
            path.append(step)
            value = value[step]
        elif isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
            path.append(int(step))
            value = value[int(step)]
        else:
            break
    return tuple(path)
