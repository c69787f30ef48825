"""As much of a Kubernetes API server as Helm needs to look Secrets up while it renders."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import helm_python
import yaml

from tests.harness.chart import CHART, Manifest

NAMESPACE, RELEASE = "prod", "demo"
_CORE = ["Secret", "ConfigMap", "Service", "ServiceAccount"]
_GROUPS = {
    "apps/v1": ["Deployment"],
    "autoscaling/v2": ["HorizontalPodAutoscaler"],
    "policy/v1": ["PodDisruptionBudget"],
    "networking.k8s.io/v1": ["NetworkPolicy"],
}
_OPENAPI_V2 = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


class Cluster:
    """A cluster that remembers nothing but the Secrets of :meth:`keep_secrets`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.secrets: dict[str, Manifest] = {}

    def render(self, values: Mapping[str, Any]) -> list[Manifest]:
        """What an installation of the chart would send here (a dry run on the server's side)."""
        with helm_python.Config(
            kubeconfig_content=_kubeconfig(self._url),
            namespace=NAMESPACE,
            storage_driver="memory",
            qps=1000,
            burst_limit=1000,
        ) as config:
            release = config.install(CHART, RELEASE, dict(values), dry_run="server", namespace=NAMESPACE)
        return [manifest for manifest in yaml.safe_load_all(release["manifest"]) if manifest]

    def keep_secrets(self, manifests: list[Manifest]) -> None:
        """Store the Secrets among ``manifests`` as the API server and Helm would."""
        owner = {"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": NAMESPACE}
        for manifest in manifests:
            if manifest["kind"] == "Secret":
                metadata = {**manifest["metadata"], "annotations": owner}
                data = manifest.get("data", {}) | {
                    key: base64.b64encode(value.encode()).decode()
                    for key, value in manifest.get("stringData", {}).items()
                }
                self.secrets[metadata["name"]] = {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": metadata,
                    "data": data,
                }

    def answer(self, path: str) -> tuple[int, Mapping[str, Any]]:
        """The status and body for ``GET path``."""
        secret = self.secrets.get(path.removeprefix(f"/api/v1/namespaces/{NAMESPACE}/secrets/"))
        discovery = _discovery(path)
        if secret is not None or discovery is not None:
            return 200, secret or discovery or {}
        return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet an answer: two would wait for the client's delayed ACK each time

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/openapi/v2":  # an empty document: every kind is unknown to it and none is checked
                self._send(200, b"", _OPENAPI_V2)
            else:
                status, body = fake.answer(path)
                self._send(status, json.dumps(body).encode(), "application/json")

        def _send(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake = Cluster(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def _discovery(path: str) -> Mapping[str, Any] | None:
    match path.strip("/").split("/", 1):
        case ["version"]:
            return {"major": "1", "minor": "31", "gitVersion": "v1.31.0"}
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        case ["apis"]:
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in _GROUPS]}
        case ["api", "v1"]:
            return _resources("v1", _CORE)
        case ["apis", group] if group in _GROUPS:
            return _resources(group, _GROUPS[group])
    return None


def _group(group_version: str) -> Mapping[str, Any]:
    group, version = group_version.split("/")
    served = {"groupVersion": group_version, "version": version}
    return {"name": group, "versions": [served], "preferredVersion": served}


def _resources(group_version: str, kinds: list[str]) -> Mapping[str, Any]:
    resources = [
        {
            "name": (kind.lower() + "s").replace("policys", "policies"),
            "singularName": kind.lower(),
            "namespaced": True,
            "kind": kind,
            "verbs": ["get", "list", "create", "update"],
        }
        for kind in kinds
    ]
    return {"kind": "APIResourceList", "groupVersion": group_version, "resources": resources}


def _kubeconfig(url: str) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": {"server": url}}],
            "users": [{"name": "test", "user": {}}],
        }
    )
