"""Documents in, xDS resources out; the real Envoy takes every one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import MessageToJson

from controlplane.config import load_document
from controlplane.resolve import resolve
from controlplane.translate import check_consistent, translate
from controlplane.translate.consistency import decode
from controlplane.xds import types
from controlplane.xds.snapshot import Resource, Snapshot
from servicekit.contracts import AuthPolicy, LimitPolicy
from tests.harness.envoy import envoy_settings, short_folder, static_bootstrap, validate
from tests.harness.golden import Golden, cases, to_yaml

FAMILIES = {
    "listeners": (types.LISTENER,),
    "routes": (types.ROUTE_CONFIGURATION,),
    "clusters": (types.CLUSTER,),
    "endpoints": (types.CLUSTER_LOAD_ASSIGNMENT,),
    "policies": (AuthPolicy.TYPE_URL, LimitPolicy.TYPE_URL),
}


@cases("xds", "*/document.yaml")
def test_a_document_becomes_these_resources(case: Path, golden: Golden) -> None:
    """One file per family, every ``Any`` expanded; families without resources have no file."""
    snapshot = snapshot_of(case)
    assert set(snapshot.resources) <= {url for urls in FAMILIES.values() for url in urls}
    outputs = {f"{name}.yaml": to_yaml(readable(snapshot, urls)) for name, urls in FAMILIES.items()}
    golden.check_folder(
        case.parent, {name: text for name, text in outputs.items() if text != "[]\n"}, inputs=[case.name]
    )


@cases("xds", "*/document.yaml")
def test_the_real_envoy_takes_it(case: Path) -> None:
    """And nothing in it leads nowhere."""
    snapshot = snapshot_of(case)
    check_consistent(snapshot)
    with short_folder() as folder:
        validate(static_bootstrap(snapshot, envoy_settings(folder)))


def snapshot_of(case: Path) -> Snapshot:
    """The whole way from the document."""
    document = load_document(case.read_bytes(), origin=case.name)
    return translate(resolve(document, listen_address="127.0.0.1"))


def readable(snapshot: Snapshot, type_urls: tuple[str, ...]) -> list[Any]:
    """Resources as plain data."""
    return [plain(resource) for url in type_urls for resource in snapshot.of_type(url).values()]


def plain(resource: Resource) -> Any:
    """A policy is JSON already; the rest is canonical protobuf JSON."""
    if resource.type_url in FAMILIES["policies"]:
        value = AnyMessage.FromString(resource.body).value
        return {"@type": resource.type_url, "name": resource.name, **json.loads(value)}
    return json.loads(MessageToJson(decode(resource), preserving_proto_field_name=True))
