"""What an Envoy has, in a form in which two Envoys can be compared."""

from __future__ import annotations

import json
from typing import Any

from tests.harness.envoy import Envoy

_PATH = "/config_dump?include_eds"
_OF_ONE = {"version_info", "last_updated", "client_status"}
"""What differs between Envoys that have the same: who told them what when."""
_NOT_OVER_XDS = ("BootstrapConfigDump",)


def has(envoy: Envoy) -> dict[str, Any]:
    """Every dynamic resource by type and name. Raises :class:`NotQuietError` while one is still on its way."""
    answer = envoy.admin(_PATH)
    answer.raise_for_status()
    return {
        f"{dump['@type'].rpartition('.')[2]}.{part}": _by_name(part, dump[part])
        for dump in answer.json()["configs"]
        if not dump["@type"].endswith(_NOT_OVER_XDS)
        for part in dump
        if part.startswith("dynamic_")
    }


class NotQuietError(Exception):
    """A resource is warming, was refused, or is without content; the text says which."""


def _by_name(part: str, resources: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for resource in resources:
        wrong = {"warming_state", "error_state"} & resource.keys()
        if wrong or "warming" in part:
            raise NotQuietError(f"{part}: {sorted(wrong)} {str(resource)[:500]}")
        if part == "dynamic_listeners" and "active_state" not in resource:
            continue  # one that is being drained
        name, content = _content(resource)
        if name in found:
            raise NotQuietError(f"{part}: {name} twice")
        found[name] = content
    return found


def _content(resource: dict[str, Any]) -> tuple[str, Any]:
    if "active_state" in resource:
        return resource["name"], _without_versions(resource["active_state"])
    (body,) = (value for key, value in resource.items() if isinstance(value, dict))
    return str(body.get("name") or body.get("cluster_name")), _without_versions(body)


def _without_versions(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_order(key, _without_versions(inner)) for key, inner in value.items() if key not in _OF_ONE}
    if isinstance(value, list):
        return [_without_versions(inner) for inner in value]
    return value


def _in_order(key: str, value: Any) -> Any:
    """Endpoints of one locality are a set: Envoy goes on showing the order in which it heard of them first."""
    return sorted(value, key=json.dumps) if key == "lb_endpoints" else value
