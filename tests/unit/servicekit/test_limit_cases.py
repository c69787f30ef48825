"""Which case a caller is."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.contracts.limit_policy import Case, Condition
from servicekit.limit_cases import CaseError, compile_case

PARTS = ("user", "header:x-plan")
texts = st.text("ab.*é", max_size=4)


def case(**conditions: tuple[str, str]) -> Case:
    """A case of the second part, or of both."""
    when = {
        part: Condition.model_validate({"kind": kind, "value": value}) for part, (kind, value) in conditions.items()
    }
    return Case(when=when, grant="unlimited")


@given(texts, texts)
def test_each_kind_is_what_it_is_called(wanted: str, value: str) -> None:
    """The whole value, or its beginning."""
    for kind, expected in (("exact", value == wanted), ("prefix", value.startswith(wanted))):
        assert compile_case(case(user=(kind, wanted)), PARTS)((value, "")) is expected


@pytest.mark.parametrize(("value", "fits"), [("old-v1", True), ("old-v12", True), ("old-v", False), ("xold-v1", False)])
def test_an_expression_is_for_the_whole_value(value: str, fits: bool) -> None:
    """As everywhere in the document."""
    made = compile_case(case(**{"header:x-plan": ("regex", "old-v[0-9]+")}), PARTS)
    assert made(("", value)) is fits


def test_all_conditions_have_to_hold() -> None:
    """Of two, both."""
    made = compile_case(case(**{"user": ("exact", "a"), "header:x-plan": ("prefix", "gold")}), PARTS)
    assert made(("a", "golden"))
    assert not made(("b", "golden"))
    assert not made(("a", "silver"))


def test_no_expression_takes_long() -> None:
    """One that Python's own engine needs ages for is linear here: 2**30 steps would not end within the test."""
    made = compile_case(case(user=("regex", "(a|a)*b")), PARTS)
    began = time.process_time()
    assert not made(("a" * 1000, ""))
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "wrong", [case(path=("exact", "/")), case(user=("regex", "a(")), case(user=("regex", r"(a)\1"))]
)
def test_a_case_that_fits_nobody_is_an_error(wrong: Case) -> None:
    """A part that callers don't have, or no expression of RE2."""
    with pytest.raises(CaseError):
        compile_case(wrong, PARTS)
