"""Field types for templates of paths: ``/users/{id}/files/{file=**}``."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from controlplane.config.base import mistake
from controlplane.config.problems import quoted
from controlplane.config.texts import check_path

_MOST_VARIABLES: Final = 9
_VARIABLE: Final = re.compile(r"\{([^{}/]*)\}")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
_REST: Final = "=**"
_SYNTAX: Final = "a whole segment is {name} or *, the last one may be {name=**} or **"


def variables(template: str) -> list[str]:
    """The names in a valid template, in their order."""
    return [name.removesuffix(_REST) for name in _VARIABLE.findall(template)]


def _check_template(text: str) -> str:
    if not text.startswith("/"):
        raise mistake("path", "a path begins with /", f"write /{text}")
    parts = text[1:].split("/")
    check_path("/" + "/".join("x" if _stands_for_any(part) else part for part in parts))
    if any(_is_rest(part) for part in parts[:-1]):
        raise mistake("path-template", "nothing can stand behind ** and {name=**}, which take all the rest")
    if not any(map(_stands_for_any, parts)):
        raise mistake("path-template", "this takes one path", "write path in place of path_template")
    _check_names(variables(text))
    return text


def _stands_for_any(part: str) -> bool:
    """Whether it is no literal segment; a name that is none is refused."""
    if part in ("*", "**"):
        return True
    found = _VARIABLE.fullmatch(part)
    if found is None:
        if {"{", "}", "*"} & set(part):
            raise mistake("path-template", f"{quoted(part)} is no segment of a template", _SYNTAX)
        return False
    if not _NAME.fullmatch(found[1].removesuffix(_REST)):
        hint = "1 to 32 letters, digits and '_', the first a letter; " + _SYNTAX
        raise mistake("path-template", f"{quoted(part)} has no name that a variable can have", hint)
    return True


def _is_rest(part: str) -> bool:
    return part == "**" or part.endswith(_REST + "}")


def _check_names(names: list[str]) -> None:
    if len(names) > _MOST_VARIABLES:
        raise mistake("path-template", f"a template has at most {_MOST_VARIABLES} variables", "write * for some")
    twice = next((name for position, name in enumerate(names) if name in names[:position]), None)
    if twice is not None:
        raise mistake("path-template", f"the variable {quoted(twice)} stands here twice")


def _check_target(text: str) -> str:
    check_path(_VARIABLE.sub("x", text))
    wrong = next((name for name in _VARIABLE.findall(text) if not _NAME.fullmatch(name)), None)
    if wrong is not None:
        raise mistake("path-template", f"{quoted(wrong)} is no name of a variable", "write {name}, without =**")
    return text


PathTemplate = Annotated[str, AfterValidator(_check_template)]
"""Which paths."""

TemplateTarget = Annotated[str, AfterValidator(_check_target)]
"""The path that is made of the variables."""
