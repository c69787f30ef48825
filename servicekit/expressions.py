"""Conditions in the Common Expression Language, compiled once; the library bounds depth, iterations and regexes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from cel_expr_python import cel

LONGEST_EXPRESSION: Final = 2048
"""Characters."""
_PLACE: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_LONGEST_REASON: Final = 200
_NOISE: Final = " (in container '')"


class ExpressionError(Exception):
    """This is no condition; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition."""

    text: str
    asks_request: bool
    """Whether it is about more than the caller."""
    _compiled: cel.Expression

    def holds(
        self, *, claims: Mapping[str, Any], identity: Mapping[str, Any], request: Mapping[str, str] | None = None
    ) -> bool:
        """Whether it is true. What can't be worked out (a claim that is not there, a text for a number) is not."""
        data = {"claims": dict(claims), "identity": dict(identity)}
        if self.asks_request:
            data["request"] = dict(request or {})
        try:
            return self._compiled.eval(data=data).value() is True
        except RuntimeError:  # the library's one error: too many iterations, a value that it can't hold
            return False


def compile_expression(text: str) -> Expression:
    """The condition that ``text`` is.

    Raises:
        ExpressionError: it is none, names what there is not, or is not about yes and no.
    """
    try:
        text.encode()
        whole = _compiled(text, about_request=True)
    except UnicodeEncodeError:
        raise ExpressionError("it is not Unicode") from None
    except RuntimeError as error:
        raise ExpressionError(_reason(error)) from None
    kind = whole.return_type().name()
    if kind not in ("BOOL", "DYN"):
        raise ExpressionError(f"it gives {kind}, and has to be true or false")
    try:
        return Expression(text, False, _compiled(text, about_request=False))
    except RuntimeError:  # it names the request
        return Expression(text, True, whole)


def _compiled(text: str, *, about_request: bool) -> cel.Expression:
    return _environment(about_request=about_request).compile(text)


@lru_cache(maxsize=2)
def _environment(*, about_request: bool) -> cel.Env:
    # Here, for it is 50 MB that nobody loads who writes no expression.
    from cel_expr_python import cel

    anything = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    variables = {"claims": anything, "identity": anything}
    if about_request:
        variables["request"] = cel.Type.Map(cel.Type.STRING, cel.Type.STRING)
    return cel.NewEnv(variables=variables)


def _reason(error: RuntimeError) -> str:
    found = _PLACE.search(str(error))
    if found is None:
        return str(error).partition("\n")[0][:_LONGEST_REASON]
    line, column, why = found.groups()
    at = f"at character {column}" if line == "1" else f"at line {line}, character {column}"
    return f"{at}: {why.removesuffix(_NOISE)[:_LONGEST_REASON]}"
