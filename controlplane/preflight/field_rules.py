"""What the protos of Envoy ask of one value (protoc-gen-validate's rules), compiled to a check. Pure.

Field meanings: https://github.com/bufbuild/protoc-gen-validate/blob/main/README.md.
"""

from __future__ import annotations

import ipaddress
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message

Check: TypeAlias = Callable[[Any], str | None]
"""Why a value is refused, or ``None``."""

_NANOS: Final = 1_000_000_000
_SHOWN: Final = 60
"""Characters of a value that a breach quotes."""

_BOUNDS: Final = {
    "gt": (operator.gt, "more than"),
    "gte": (operator.ge, "at least"),
    "lt": (operator.lt, "less than"),
    "lte": (operator.le, "at most"),
}
_LENGTHS: Final = {
    "len": (operator.eq, "exactly"),
    "len_bytes": (operator.eq, "exactly"),
    "min_len": (operator.ge, "at least"),
    "min_bytes": (operator.ge, "at least"),
    "min_items": (operator.ge, "at least"),
    "min_pairs": (operator.ge, "at least"),
    "max_len": (operator.le, "at most"),
    "max_bytes": (operator.le, "at most"),
    "max_items": (operator.le, "at most"),
    "max_pairs": (operator.le, "at most"),
}
_PARTS: Final[dict[str, tuple[Callable[[Any, Any], bool], str]]] = {
    "prefix": (lambda value, part: value.startswith(part), "begin with"),
    "suffix": (lambda value, part: value.endswith(part), "end with"),
    "contains": (lambda value, part: part in value, "contain"),
    "not_contains": (lambda value, part: part not in value, "not contain"),
}
_ADDRESSES: Final = {
    "ip": ipaddress.ip_address,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
}
_HEADERS: Final = {
    (1, True): (re.compile(r":?[0-9a-zA-Z!#$%&'*+\-.^_|~`]+"), "the name of a header"),
    (1, False): (re.compile(r"[^\0\n\r]*"), "the name of a header"),
    (2, True): (re.compile(r"[^\0-\x08\n-\x1f\x7f]*"), "the value of a header"),
    (2, False): (re.compile(r"[^\0\n\r]*"), "the value of a header"),
}
"""By ``well_known_regex`` (1 is ``HTTP_HEADER_NAME``) and ``strict``."""

_ELSEWHERE: Final = frozenset({"required", "strict", "ignore_empty", "items", "keys", "values", "skip"})
"""Said of more than the one value, or of how another rule is meant."""


class UnknownRuleError(Exception):
    """A rule has no check here."""


def value_check(rules: Message, enum: EnumDescriptor | None = None) -> Check | None:
    """The check of ``rules`` (``StringRules``, ``UInt32Rules``, …); ``None`` when they ask for nothing.

    Args:
        rules: of one kind.
        enum: what the value is one of.

    Raises:
        UnknownRuleError: there is a rule that has no check here.
    """
    checks = list(_checks(rules, enum))
    if not checks:
        return None
    may_be_empty = getattr(rules, "ignore_empty", False)

    def check(value: Any) -> str | None:
        if may_be_empty and not value:
            return None
        for one in checks:
            why = one(value)
            if why is not None:
                return why
        return None

    return check


def nanoseconds(time: Any) -> int:
    """A ``Duration`` or ``Timestamp`` as one number."""
    return int(time.seconds) * _NANOS + int(time.nanos)


def _checks(rules: Message, enum: EnumDescriptor | None) -> Iterator[Check]:
    said = {field.name: value for field, value in rules.ListFields() if field.name not in _ELSEWHERE}
    is_time = rules.DESCRIPTOR.name in ("DurationRules", "TimestampRules")
    yield from _range_checks(said, is_time=is_time)
    for name, wanted in said.items():
        if name in ("in", "not_in"):
            yield _membership(wanted, inside=name == "in", is_time=is_time)
        elif name == "const":
            yield _membership([wanted], inside=True, is_time=is_time)
        elif name == "unique":
            yield _unique
        elif name == "defined_only" and enum is not None:
            yield _defined(enum)
        else:
            yield _text_check(name, wanted, strict=getattr(rules, "strict", True))


def _range_checks(said: dict[str, Any], *, is_time: bool) -> Iterator[Check]:
    """Takes the bounds out of ``said``. A lower one above the upper one means outside of both."""
    bounds = {name: said.pop(name) for name in tuple(said) if name in _BOUNDS}
    if not bounds:
        return
    measured: dict[str, Any] = {name: nanoseconds(bound) if is_time else bound for name, bound in bounds.items()}
    lower = next((measured[name] for name in ("gt", "gte") if name in measured), None)
    upper = next((measured[name] for name in ("lt", "lte") if name in measured), None)
    combine = any if lower is not None and upper is not None and upper < lower else all
    unit = " s" if is_time else ""
    divisor = _NANOS if is_time else 1
    words = " and ".join(f"{_BOUNDS[name][1]} {bound / divisor:g}{unit}" for name, bound in measured.items())

    def check(value: Any) -> str | None:
        amount = nanoseconds(value) if is_time else value
        fits = combine(_BOUNDS[name][0](amount, bound) for name, bound in measured.items())
        return None if fits else f"{amount / divisor:g}{unit} has to be {words}"

    yield check


def _membership(wanted: Iterable[Any], *, inside: bool, is_time: bool) -> Check:
    values = [nanoseconds(one) if is_time else one for one in wanted]
    words = "has to be one of" if inside else "must not be one of"

    def check(value: Any) -> str | None:
        found = (nanoseconds(value) if is_time else value) in values
        return None if found is inside else f"{_shown(value)} {words} {_shown(values)}"

    return check


def _unique(values: Sequence[Any]) -> str | None:
    seen: list[Any] = []
    for value in values:
        if value in seen:
            return f"{_shown(value)} stands there twice"
        seen.append(value)
    return None


def _defined(enum: EnumDescriptor) -> Check:
    numbers = frozenset(enum.values_by_number)
    return lambda value: None if value in numbers else f"{value} is no value of {enum.name}"


def _text_check(name: str, wanted: Any, *, strict: bool) -> Check:
    if name in _LENGTHS:
        return _length(name, wanted)
    if name in _PARTS:
        return _part(name, wanted)
    if name in _ADDRESSES:
        return _address(name)
    if name == "pattern":
        return _pattern(re.compile(re.sub(r"\$\Z", r"\\Z", wanted)).search, f"match {wanted}")
    if name == "well_known_regex":
        pattern, words = _HEADERS[wanted, strict]
        return _pattern(pattern.fullmatch, f"be {words}")
    raise UnknownRuleError(name)


def _length(name: str, wanted: int) -> Check:
    compare, words = _LENGTHS[name]
    unit = name.rpartition("_")[2].replace("len", "characters")

    def check(value: Any) -> str | None:
        length = len(value.encode()) if unit == "bytes" and isinstance(value, str) else len(value)
        return None if compare(length, wanted) else f"there have to be {words} {wanted} {unit}, not {length}"

    return check


def _part(name: str, wanted: Any) -> Check:
    holds, words = _PARTS[name]
    return lambda value: None if holds(value, wanted) else f"{_shown(value)} has to {words} {_shown(wanted)}"


def _address(name: str) -> Check:
    def check(value: Any) -> str | None:
        try:
            _ADDRESSES[name](value)
        except ValueError:
            return f"{_shown(value)} is no {name} address"
        return None

    return check


def _pattern(matches: Callable[[str], object], words: str) -> Check:
    return lambda value: None if matches(value) else f"{_shown(value)} has to {words}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
