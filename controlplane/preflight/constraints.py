"""The constraints that Envoy's protos put on a message, found in the descriptors and checked without Envoy."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

from google.protobuf import message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import DecodeError, Message
from validate import validate_pb2

from controlplane.preflight.errors import PreflightError
from controlplane.preflight.field_rules import Check, UnknownRuleError, value_check
from controlplane.xds.snapshot import Resource, Snapshot

MOST_REMEMBERED: Final = 65_536
"""Resources that were found good and are not looked at again, by their versions."""


@dataclass(frozen=True, slots=True)
class Breach:
    """What is wrong, and where below the value that was looked at."""

    path: str
    why: str

    def below(self, step: str) -> Breach:
        """The same, seen from one level up."""
        dot = "." if self.path and not self.path.startswith("[") else ""
        return Breach(f"{step}{dot}{self.path}", self.why)

    def __str__(self) -> str:
        return f"{self.path}: {self.why}" if self.path else self.why


_REQUIRABLE: Final = frozenset({"duration", "timestamp", "any"})

Walk: TypeAlias = Callable[[Any], Breach | None]


@dataclass(slots=True)
class _Plan:
    """What is looked at in the messages of one type."""

    required: list[str] = field(default_factory=list)
    oneofs: list[str] = field(default_factory=list)
    always: list[tuple[str, Check]] = field(default_factory=list)
    """Fields that have a value even when nobody has set them."""
    present: dict[str, list[Walk]] = field(default_factory=dict)
    """Fields that are looked at when they are set."""


class Constraints:
    """Checks snapshots against the rules in the protos; Envoy, which has them compiled in, would refuse the same.

    What Envoy asks beyond that (a certificate that can be read, a filter that exists) only Envoy knows.
    """

    def __init__(self) -> None:
        self._plans: dict[str, _Plan] = {}
        self._good: OrderedDict[tuple[str, str], None] = OrderedDict()
        self.unknown: set[str] = set()
        """Rules that were met and have no check here."""

    def check(self, snapshot: Snapshot) -> None:
        """Return when every resource of ``snapshot`` keeps to its constraints.

        Raises:
            PreflightError: one does not; the text says which, where in it, and why.
        """
        for resources in snapshot.resources.values():
            for resource in resources.values():
                self._check_resource(resource)

    def breach(self, message: Message) -> Breach | None:
        """The first that is wrong in ``message``."""
        return self._walk(message)

    def _check_resource(self, resource: Resource) -> None:
        key = (resource.type_url, resource.version)
        if key in self._good:
            return
        message = _unpacked(AnyMessage.FromString(resource.body))
        breach = None if message is None else self._walk(message)
        if breach is not None:
            raise PreflightError(f"{resource.type_url.rpartition('.')[2]} '{resource.name}': {breach}")
        self._good[key] = None
        if len(self._good) > MOST_REMEMBERED:
            self._good.popitem(last=False)

    def _walk(self, message: Message) -> Breach | None:
        if isinstance(message, AnyMessage):
            inner = _unpacked(message)
            return None if inner is None else self._walk(inner)
        plan = self._plans.get(message.DESCRIPTOR.full_name) or self._plan(cast(Descriptor, message.DESCRIPTOR))
        for name in plan.required:
            if not message.HasField(name):
                return Breach(name, "is missing")
        for name in plan.oneofs:
            if message.WhichOneof(name) is None:
                return Breach(name, "is missing")
        for name, check in plan.always:
            why = check(getattr(message, name))
            if why is not None:
                return Breach(name, why)
        return self._walk_present(message, plan)

    def _walk_present(self, message: Message, plan: _Plan) -> Breach | None:
        for one, value in message.ListFields():
            for walk in plan.present.get(one.name, ()):
                breach = walk(value)
                if breach is not None:
                    return breach.below(one.name)
        return None

    def _plan(self, descriptor: Descriptor) -> _Plan:
        plan = self._plans[descriptor.full_name] = _Plan()
        options = descriptor.GetOptions()
        if options.Extensions[validate_pb2.disabled] or options.Extensions[validate_pb2.ignored]:
            return plan
        plan.oneofs += [one.name for one in descriptor.oneofs if one.GetOptions().Extensions[validate_pb2.required]]
        for one in descriptor.fields:
            rules = one.GetOptions().Extensions[validate_pb2.rules]
            self._plan_field(plan, one, rules)
        return plan

    def _plan_field(self, plan: _Plan, one: FieldDescriptor, rules: validate_pb2.FieldRules) -> None:
        kind = rules.WhichOneof("type")
        required = rules.message.required or (kind in _REQUIRABLE and getattr(rules, kind).required)
        if required and one.containing_oneof is None:  # in a oneof: when it is the one, which it is by being set
            plan.required.append(one.name)
        check = self._check_of(one, rules)
        walks = list(self._walks(one, rules))
        if check is not None and (one.is_repeated or not one.has_presence):
            plan.always.append((one.name, check))
        elif check is not None:
            walks.insert(0, _leaf(_of_wrapped(check) if _is_wrapper(one.message_type) else check))
        if walks:
            plan.present[one.name] = walks

    def _check_of(self, one: FieldDescriptor, rules: validate_pb2.FieldRules) -> Check | None:
        kind = rules.WhichOneof("type")
        if kind is None:
            return None
        try:
            return _any_check(rules.any) if kind == "any" else value_check(getattr(rules, kind), one.enum_type)
        except UnknownRuleError as error:
            self.unknown.add(f"{one.full_name}: {error}")
            return None

    def _walks(self, one: FieldDescriptor, rules: validate_pb2.FieldRules) -> Iterator[Walk]:
        """What goes on below a field."""
        if rules.message.skip:
            return
        if one.message_type is not None and one.message_type.GetOptions().map_entry:
            key, value = (one.message_type.fields_by_name[name] for name in ("key", "value"))
            if (keys := self._member(key, rules.map.keys)) is not None:
                yield _each_key(keys)
            if (values := self._member(value, rules.map.values)) is not None:
                yield _each_value(values)
        elif one.is_repeated:
            if (items := self._member(one, rules.repeated.items)) is not None:
                yield _each(items)
        elif one.message_type is not None:
            yield self._walk

    def _member(self, one: FieldDescriptor, rules: validate_pb2.FieldRules) -> Walk | None:
        """The look at one member of a list or mapping."""
        check = self._check_of(one, rules)
        descends = one.message_type is not None and not rules.message.skip
        if check is None:
            return self._walk if descends else None
        leaf = _leaf(check)
        return (lambda value: leaf(value) or self._walk(value)) if descends else leaf


def _unpacked(packed: AnyMessage) -> Message | None:
    """The message inside; ``None`` when nothing is known of its type (our own are JSON)."""
    try:
        descriptor = Default().FindMessageTypeByName(packed.TypeName())
        return message_factory.GetMessageClass(descriptor).FromString(packed.value)
    except (KeyError, DecodeError):
        return None


def _is_wrapper(descriptor: Descriptor | None) -> bool:
    return descriptor is not None and descriptor.file.name == "google/protobuf/wrappers.proto"


def _of_wrapped(check: Check) -> Check:
    return lambda wrapper: check(wrapper.value)


def _leaf(check: Check) -> Walk:
    def walk(value: Any) -> Breach | None:
        why = check(value)
        return None if why is None else Breach("", why)

    return walk


def _any_check(rules: validate_pb2.AnyRules) -> Check | None:
    inside, outside = frozenset(getattr(rules, "in")), frozenset(rules.not_in)
    if not inside and not outside:
        return None

    def check(packed: AnyMessage) -> str | None:
        fits = (not inside or packed.type_url in inside) and packed.type_url not in outside
        return None if fits else f"{packed.type_url} is not possible here"

    return check


def _each(walk: Walk) -> Walk:
    return lambda values: _first(enumerate(values), walk)


def _each_value(walk: Walk) -> Walk:
    return lambda mapping: _first(((key, mapping[key]) for key in sorted(mapping)), walk)


def _each_key(walk: Walk) -> Walk:
    return lambda mapping: _first(((key, key) for key in sorted(mapping)), walk)


def _first(members: Iterable[tuple[object, Any]], walk: Walk) -> Breach | None:
    for place, member in members:
        breach = walk(member)
        if breach is not None:
            return breach.below(f"[{place}]")
    return None
