"""Documents in, xDS resources out; the real Envoy takes every one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import MessageToJson

from controlplane.config import load_document
from controlplane.preflight import Constraints
from controlplane.resolve import resolve
from controlplane.translate import Release, check_consistent, translate_release
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
    "secrets": (types.SECRET,),
    "policies": (AuthPolicy.TYPE_URL, LimitPolicy.TYPE_URL),
}


@cases("xds", "*/document.yaml")
def test_a_document_becomes_these_resources(case: Path, golden: Golden) -> None:
    """One file per family, every ``Any`` expanded; families without resources have no file.

    A document with several node groups has a folder for each.
    """
    release = release_of(case)
    if len(release.groups) == 1:
        (snapshot,) = release.groups.values()
        golden.check_folder(case.parent, {**files(snapshot), **files(release.services)}, inputs=[case.name])
        return
    golden.check_folder(case.parent, files(release.services), inputs=[case.name])
    for group, snapshot in release.groups.items():
        (case.parent / group).mkdir(exist_ok=True)
        golden.check_folder(case.parent / group, files(snapshot), inputs=[])
    assert {path.name for path in case.parent.iterdir() if path.is_dir()} == set(release.groups)


@cases("xds", "*/document.yaml")
def test_the_real_envoy_takes_it(case: Path) -> None:
    """Nothing in it leads nowhere, and it keeps to the constraints of Envoy's protos as we read them."""
    release = release_of(case)
    check_consistent(release)
    for snapshot in release.groups.values():
        Constraints().check(snapshot)
        with short_folder() as folder:
            validate(static_bootstrap(snapshot, envoy_settings(folder)))


def release_of(case: Path) -> Release:
    """The whole way from the document."""
    document = load_document(case.read_bytes(), origin=case.name)
    return translate_release(resolve(document, listen_address="127.0.0.1"))


def files(snapshot: Snapshot) -> dict[str, str]:
    """A text for each family that there is something of."""
    assert set(snapshot.resources) <= {url for urls in FAMILIES.values() for url in urls}
    texts = {f"{name}.yaml": to_yaml(readable(snapshot, urls)) for name, urls in FAMILIES.items()}
    return {name: text for name, text in texts.items() if text != "[]\n"}


def readable(snapshot: Snapshot, type_urls: tuple[str, ...]) -> list[Any]:
    """Resources as plain data."""
    return [plain(resource) for url in type_urls for resource in snapshot.of_type(url).values()]


def plain(resource: Resource) -> Any:
    """A policy is JSON already; the rest is canonical protobuf JSON."""
    if resource.type_url in FAMILIES["policies"]:
        value = AnyMessage.FromString(resource.body).value
        return {"@type": resource.type_url, "name": resource.name, **json.loads(value)}
    return json.loads(MessageToJson(decode(resource), preserving_proto_field_name=True))
