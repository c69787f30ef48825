"""Templates of paths: whatever is written is one or a mistake, and what is one means what it says."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from controlplane.config.path_templates import PathTemplate, TemplateTarget, variables
from controlplane.config.re2 import check_regex
from controlplane.model.path_templates import expression, segments, substitution

TEMPLATE, TARGET = TypeAdapter[str](PathTemplate), TypeAdapter[str](TemplateTarget)
LITERALS = st.text("ab.-~+$()%4", min_size=1, max_size=4).filter(lambda one: "%" not in one and one.strip("."))
VALUES = st.text("ab.|=*{}[]^$\\%é", min_size=1, max_size=5)


@given(st.text("/{}*=ab1.%?é", max_size=20).map(lambda text: f"/{text}") | st.text(max_size=10))
def test_whatever_is_written(text: str) -> None:
    """A mistake, or a template whose expression every Envoy takes."""
    for adapter in (TEMPLATE, TARGET):
        try:
            adapter.validate_python(text)
        except ValidationError:
            continue
        if adapter is TEMPLATE:
            check_regex(expression(text))


@given(st.data(), st.lists(LITERALS | st.none(), min_size=1, max_size=6), st.booleans())
def test_what_a_template_takes(data: st.DataObject, parts: list[str | None], has_rest: bool) -> None:
    """Paths that are made of it, and no others with a segment more or less; variables hold what stood there."""
    names = [f"v{number}" for number in range(len(parts))]
    written = [part or f"{{{name}}}" for part, name in zip(parts, names, strict=True)]
    rest = [data.draw(VALUES) for _ in range(data.draw(st.integers(1, 3)))] if has_rest else []
    template = "/" + "/".join([*written, *(["{rest=**}"] if has_rest else [])])
    if "{" not in template:
        return
    assert TEMPLATE.validate_python(template) == template
    values = [part or data.draw(VALUES) for part in parts]
    path = "/" + "/".join([*values, *rest])
    found = re.fullmatch(expression(template), path, re.DOTALL)
    assert found is not None
    assert len(segments(template)) == len(parts) + has_rest
    target = "".join(f"/{{{name}}}" for name in reversed(variables(template)))
    assert TARGET.validate_python(target) == target
    made = found.expand(substitution(template, target))
    wanted = [value for part, value in zip(parts, values, strict=True) if part is None]
    wanted += ["/".join(rest)] if has_rest else []
    assert made == "".join(f"/{value}" for value in reversed(wanted))
    assert re.fullmatch(expression(template), path.rpartition("/")[0]) is None or len(rest) > 1
    if not has_rest:
        assert re.fullmatch(expression(template), f"{path}/x") is None
