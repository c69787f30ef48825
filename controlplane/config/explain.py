"""Pydantic's errors in the words of the document's users."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from controlplane.config.base import own_code
from controlplane.config.problems import MAX_LISTED, Path, Problem, did_you_mean, quoted, suggestion

_KEY_MARK = "[key]"
"""What pydantic appends to the path of an error in a mapping's key."""

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_BOUNDS = {
    "greater_than_equal": ("out-of-range", "this has to be at least {ge}"),
    "less_than_equal": ("out-of-range", "this has to be at most {le}"),
    "string_too_short": ("too-short", "this is empty"),
    "string_too_long": ("too-long", "this has more than {max_length} characters"),
    "too_short": ("too-short", "at least {min_length} has to stand here"),
    "too_long": ("too-long", "more than {max_length} stand here"),
}

_Words = tuple[str, str, str | None]
"""Code, message, hint."""


def explain(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """One problem per mistake, for as many as are listed, without positions.

    Values stand in no message, for they may be secrets; words where one of a fixed choice is expected do.
    """
    details = error.errors(include_url=False)[:MAX_LISTED]
    found = [_problem(one, model) for one in details]
    meant = {_meant(problem.path, model) for problem in found if problem.code == "unknown-key"}
    return [problem for problem in found if problem.code != "missing-key" or problem.path not in meant]


def _problem(details: ErrorDetails, model: type[BaseModel]) -> Problem:
    path: Path = details["loc"]
    at_key = path[-1:] == (_KEY_MARK,)
    path = path[:-1] if at_key else path
    code, message, hint = _words(details, path, model)
    return Problem(path=path, code=code, message=message, hint=hint, at_key=at_key or code == "unknown-key")


def _words(details: ErrorDetails, path: Path, model: type[BaseModel]) -> _Words:
    kind, context, value = details["type"], details.get("ctx", {}), details["input"]
    code = own_code(kind)
    if code is not None:
        return code, context["message"], context["hint"]
    if kind == "extra_forbidden":
        return _unknown_key(str(path[-1]), _keys(model, path[:-1]))
    if kind == "missing":
        return "missing-key", f"the key {quoted(str(path[-1]))} is missing", None
    if kind == "literal_error":
        return _choice(value, context["expected"])
    if kind in _BOUNDS:
        code, template = _BOUNDS[kind]
        return code, template.format(**context), None
    if kind in _EXPECTED:
        return "type", f"expected {_EXPECTED[kind]}, not {_kind_of(value)}", _type_hint(kind, value)
    return "invalid", details["msg"], None


def _unknown_key(key: str, known: list[str]) -> _Words:
    hint = "YAML 1.2 has no merge keys" if key == "<<" else suggestion(key, known)
    return "unknown-key", f"unknown key {quoted(key)}", hint


def _choice(value: Any, expected: str) -> _Words:
    options = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    what = quoted(value) if isinstance(value, str) else _kind_of(value)
    return "choice", f"{what} is not one of {', '.join(options)}", _spelling(value, options)


def _spelling(value: Any, options: list[str]) -> str | None:
    meant = did_you_mean(value, options) if isinstance(value, str) else None
    return f"did you mean {quoted(meant)}?" if meant else None


def _type_hint(kind: str, value: Any) -> str | None:
    if kind == "string_type" and isinstance(value, (bool, int, float)):
        return "put it in quotes"
    if kind == "list_type" and isinstance(value, (str, int, float)):
        return "put it in brackets: […]"
    if kind == "int_type" and isinstance(value, str) and value.isdecimal():
        return "leave the quotes out"
    return None


def _kind_of(value: Any) -> str:
    for kind, name in (
        (bool, "true or false"),
        (int, "a number"),
        (float, "a fraction or a number too large"),
        (str, "text"),
        (list, "a list"),
        (dict, "a mapping"),
    ):
        if isinstance(value, kind):
            return name
    return "nothing"


def _meant(path: Path, model: type[BaseModel]) -> Path | None:
    """The path that would be there if the unknown key at ``path`` were spelt right."""
    meant = did_you_mean(str(path[-1]), _keys(model, path[:-1]))
    return (*path[:-1], meant) if meant is not None else None


def _keys(model: type[BaseModel], path: Path) -> list[str]:
    """The keys that may stand in the section at ``path``."""
    at: Any = model
    for step in path:
        at = _below(at, step)
    section = _bare(at)
    return list(section.model_fields) if _is_section(section) else []


def _below(annotation: Any, step: str | int) -> Any:
    bare = _bare(annotation)
    if _is_section(bare):
        field = bare.model_fields.get(step)
        return field.annotation if field is not None else None
    arguments = get_args(bare)
    return arguments[-1] if arguments else None


def _bare(annotation: Any) -> Any:
    """The annotation without ``Annotated`` and without the alternatives that are no containers."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        inner = [_bare(option) for option in get_args(annotation)]
        return next((option for option in inner if _is_section(option) or get_origin(option) in (list, dict)), None)
    return annotation


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
