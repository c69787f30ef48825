"""Which case of a limit a caller is: the same for the service that counts and for people who ask about one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import re2

from servicekit.contracts.limit_policy import Case, Condition

Fits: TypeAlias = Callable[[Sequence[str]], bool]
"""Whether a caller, as it is counted, is meant."""

_Test: TypeAlias = Callable[[str], object]


class CaseError(Exception):
    """A case that fits nobody; the text says why."""


def compile_case(case: Case, parts: Sequence[str]) -> Fits:
    """What tells whether a caller who is made of ``parts`` is meant.

    Raises:
        CaseError: a condition is about no part, or no expression of RE2.
    """
    tests = [(_place(part, parts), _test(condition)) for part, condition in case.when.items()]
    if len(tests) == 1:
        ((place, test),) = tests
        return lambda caller: bool(test(caller[place]))
    return partial(_all, tests)


def _all(tests: Sequence[tuple[int, _Test]], caller: Sequence[str]) -> bool:
    return all(test(caller[place]) for place, test in tests)


def _place(part: str, parts: Sequence[str]) -> int:
    if part not in parts:
        raise CaseError(f"no caller has a {part}")
    return parts.index(part)


def _test(condition: Condition) -> _Test:
    if condition.kind == "exact":
        return condition.value.__eq__
    if condition.kind == "prefix":
        return lambda value: value.startswith(condition.value)
    try:
        return re2.compile(condition.value, _options()).fullmatch  # type: ignore[no-any-return]
    except re2.error as error:
        raise CaseError(f"{condition.value!r}: {error}") from None


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    return options
