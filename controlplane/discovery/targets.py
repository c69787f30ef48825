"""Reads lists of targets, as Prometheus's file and HTTP discovery have them: JSON or YAML to endpoints. Pure."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from controlplane.config import ConfigError
from controlplane.config.texts import can_be_label
from controlplane.config.yaml_text import parse_yaml
from controlplane.discovery.errors import DiscoveryError
from controlplane.model import Endpoint
from servicekit.address import Address, parse_address

MAX_BYTES: Final = 1024 * 1024
MAX_ENDPOINTS: Final = 5000
MAX_WEIGHT: Final = 128
MAX_PRIORITY: Final = 10

WEIGHT: Final = "gateway_weight"
PRIORITY: Final = "gateway_priority"
REGION: Final = "gateway_region"
ZONE: Final = "gateway_zone"
MAX_LABELS: Final = 50
"""Of one group."""

_OURS = frozenset({WEIGHT, PRIORITY, REGION, ZONE})
_MAX_PLACE = 253

_NUMBER = re.compile(r"[0-9]{1,3}")


def parse_targets(source: bytes) -> tuple[Endpoint, ...]:
    """The endpoints of ``[{targets: ["10.0.0.1:8080"], labels: {name: value}}]``, sorted, each once.

    The labels ``gateway_weight`` (1 to 128), ``gateway_priority`` (0 to 10), ``gateway_region`` and ``gateway_zone`` of
    a group say this of its endpoints. Others that could be labels in a document are theirs; the rest means nothing.

    Raises:
        DiscoveryError: it is none, is larger than 1 MiB, or has more than 5000 endpoints. One mistake refuses it all.
    """
    if len(source) > MAX_BYTES:
        raise DiscoveryError(f"the list is larger than {MAX_BYTES // 1024} KiB")
    data = _data(source)
    if not isinstance(data, list):
        raise DiscoveryError("the list is no list")
    found: dict[tuple[str, int], Endpoint] = {}
    for index, group in enumerate(data):
        for place, endpoint in _of_group(group, f"[{index}]"):
            key = (endpoint.host, endpoint.port)
            if found.setdefault(key, endpoint) != endpoint:
                raise DiscoveryError(f"{place}: the same endpoint stands in the list with other labels")
            if len(found) > MAX_ENDPOINTS:
                raise DiscoveryError(f"the list has more than {MAX_ENDPOINTS} endpoints")
    _check_priorities(endpoint.priority for endpoint in found.values())
    return tuple(sorted(found.values(), key=lambda one: (one.priority, one.host, one.port)))


def written(endpoints: Iterable[Endpoint]) -> str:
    """The list that :func:`parse_targets` reads as ``endpoints``."""
    groups = [
        {
            "targets": [str(Address(host=one.host, port=one.port))],
            "labels": {
                **dict(one.labels),
                WEIGHT: str(one.weight),
                PRIORITY: str(one.priority),
                REGION: one.region,
                ZONE: one.zone,
            },
        }
        for one in endpoints
    ]
    return json.dumps(groups, separators=(",", ":"))


def _data(source: bytes) -> Any:
    if not source.strip():
        raise DiscoveryError("the list is empty: one without endpoints is []")
    try:
        return json.loads(source)
    except (ValueError, RecursionError):
        return _yaml(source)


def _yaml(source: bytes) -> Any:
    try:
        text = parse_yaml(source, origin="")
        problems = text.problems
    except ConfigError as error:
        problems = tuple(error.problems)
    if problems:
        position = problems[0].position
        where = f" (line {position.line}, column {position.column})" if position else ""
        raise DiscoveryError(f"the list is neither JSON nor YAML{where}")
    return text.data


def _of_group(group: Any, place: str) -> Iterator[tuple[str, Endpoint]]:
    if not isinstance(group, dict) or not {"targets"} <= group.keys() <= {"targets", "labels"}:
        raise DiscoveryError(f"{place}: a group has targets, and perhaps labels, and nothing else")
    targets, labels = group["targets"], group.get("labels", {})
    if not isinstance(targets, list) or not isinstance(labels, dict):
        raise DiscoveryError(f"{place}: targets are a list, labels a mapping")
    said = _common(labels, f"{place}.labels")
    for index, target in enumerate(targets):
        address = _address(target, f"{place}.targets[{index}]")
        yield f"{place}.targets[{index}]", replace(said, host=address.host, port=address.port)


def _common(labels: dict[str, Any], place: str) -> Endpoint:
    """What the labels of a group say of each of its endpoints."""
    texts = {name: str(value) for name, value in labels.items() if type(value) in (str, int)}
    if len(texts) < len(labels) or len(labels) > MAX_LABELS:
        raise DiscoveryError(f"{place}: at most {MAX_LABELS} labels, whose values are texts")
    fitting = {name for name in texts.keys() - _OURS if can_be_label(name) and can_be_label(texts[name])}
    return Endpoint(
        host="",
        port=0,
        weight=_number(texts, WEIGHT, place, default=1, least=1, most=MAX_WEIGHT),
        priority=_number(texts, PRIORITY, place, default=0, least=0, most=MAX_PRIORITY),
        region=_place(texts, REGION, place),
        zone=_place(texts, ZONE, place),
        labels=tuple((name, texts[name]) for name in sorted(fitting)),
    )


def _place(labels: dict[str, str], name: str, place: str) -> str:
    text = labels.get(name, "")
    if len(text) > _MAX_PLACE or not text.isprintable():
        raise DiscoveryError(f"{place}.{name}: this is no name of a place")
    return text


def _number(labels: dict[str, str], name: str, place: str, *, default: int, least: int, most: int) -> int:
    text = labels.get(name, str(default))
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
        raise DiscoveryError(f"{place}.{name}: this is {least} to {most}")
    return int(text)


def _address(target: Any, place: str) -> Address:
    try:
        address = parse_address(target if isinstance(target, str) else "")
        host = ipaddress.ip_address(address.host)
    except ValueError:
        host, address = None, Address()
    if host is None or not address.port or address.is_unix:
        raise DiscoveryError(f"{place}: a target is an IP address and a port, as in 10.0.0.1:8080 or [2001:db8::1]:80")
    return Address(host=str(host), port=address.port)


def _check_priorities(priorities: Iterator[int]) -> None:
    there = set(priorities)
    if gaps := {*range(max(there, default=0))} - there:
        raise DiscoveryError(f"no endpoint has priority {min(gaps)}: priorities begin at 0 and leave none out")
