"""How one path takes the place of another, as substitutions of a regular expression or of a prefix."""

from __future__ import annotations

import re

from envoy.type.matcher.v3.regex_pb2 import RegexMatchAndSubstitute, RegexMatcher

from controlplane import model
from controlplane.model import path_templates


def path_rewrite(match: model.PathMatch, rewrite: model.PathRewrite | None) -> dict[str, object]:
    """The fields that ``RouteAction`` and ``RedirectAction`` have in common."""
    if rewrite is None:
        return {}
    if rewrite.kind == "regex":
        return _substitute(rewrite.pattern, rewrite.value)
    if rewrite.kind == "template":
        made = path_templates.substitution(match.value, rewrite.value)
        return _substitute(f"^{path_templates.expression(match.value)}$", made)
    if rewrite.kind == "whole":
        return _substitute("^/.*$", rewrite.value)  # no path has a backslash, which alone means something there
    return _prefix(match.value, rewrite.value)


def _prefix(matched: str, new: str) -> dict[str, object]:
    """Envoy cuts what matched off and puts the new prefix there as it is: a slash too many, or one too few, is ours."""
    if matched == new:
        return {}
    if new == "/":
        return _substitute(f"^{re.escape(matched)}/?", "/")
    return {"prefix_rewrite": f"{new}/" if matched.endswith("/") else new}


def _substitute(pattern: str, substitution: str) -> dict[str, object]:
    return {
        "regex_rewrite": RegexMatchAndSubstitute(pattern=RegexMatcher(regex=pattern), substitution=substitution),
    }
