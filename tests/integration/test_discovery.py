"""Endpoints that are listed elsewhere, with a control plane of its own and a real Envoy: edited, broken, away, back."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gateway.bootstrap import build_bootstrap
from servicekit.address import Address
from tests.harness.certificates import Authority
from tests.harness.control_plane import ControlPlane, running_control_plane
from tests.harness.echo import Echo, running_echo
from tests.harness.envoy import Envoy, envoy_settings, running_envoy, short_folder
from tests.harness.guides import document_of
from tests.harness.load import Load
from tests.harness.ports import free_port
from tests.harness.processes import wait_for
from tests.harness.target_lists import ListServer
from tests.harness.xds import eventually

pytestmark = pytest.mark.timeout(60)


@dataclass(kw_only=True)
class Site:
    """Its parts."""

    folder: Path
    lists: ListServer
    envoy: Envoy
    client: httpx.Client
    one: Echo
    two: Echo
    plane: ControlPlane
    ca: Authority
    """Vouches for backends of ``accounts``."""

    def port(self, path: str) -> int:
        """Which backend answers; 0 for none."""
        answer = self.client.get(path)
        return int(answer.json()["port"]) if answer.status_code == 200 else 0

    def until(self, path: str, *ports: int) -> None:
        """Wait until these answer, and nobody else."""
        ports = tuple(sorted(ports))
        wait_for(
            lambda: sorted({self.port(path) for _ in range(8)}) == list(ports) or None, seconds=10, what=str(ports)
        )

    def save(self, text: str, upstream: str = "orders") -> None:
        """Write a list as deployments do: a new file, renamed over the old one."""
        new = self.folder / f"lists/shop/{upstream}.new"
        new.write_text(text)
        new.replace(new.with_suffix(".yaml"))

    @property
    def clusters(self) -> dict[str, str]:
        """How often Envoy has added, changed or removed a cluster."""
        text = self.envoy.admin("/stats?filter=^cluster_manager.cluster_(added|modified|removed)$").text
        return dict(line.split(": ") for line in text.splitlines())


def listed(*backends: Echo) -> str:
    """A list of these."""
    return json.dumps([{"targets": [f"127.0.0.1:{backend.port}" for backend in backends], "labels": {"zone": "a"}}])


@contextmanager
def planes(folder: Path) -> Iterator[ControlPlane]:
    """A control plane with the document in ``folder``; what it serves stays when another takes its place."""
    settings = {
        "GATEWAY_XDS_BIND": f"unix:{folder}/xds.sock",
        "GATEWAY_DISCOVERY_DIR": str(folder / "lists"),
        "GATEWAY_STATE_DIR": str(folder / "state"),
        "GATEWAY_DRAIN_SECONDS": "0",
    }
    with running_control_plane(folder, f"sqlite:///{folder}/history.db", tls=None, **settings) as plane:
        yield plane


@pytest.fixture
def site() -> Iterator[Site]:
    """The guide's document, live, and two backends of which both lists name the first."""
    with ExitStack() as stack:
        folder = stack.enter_context(short_folder())
        one, two = (stack.enter_context(running_echo()) for _ in range(2))
        lists = stack.enter_context(ListServer(listed(one).encode()))
        port = free_port()
        document = re.sub(r"port: 8000\b", f"port: {port}", document_of("discovery.md"))
        authority = Authority(folder)
        document = document.replace(":8500/", f":{lists.port}/").replace(
            "/etc/gateway/backends.crt", str(authority.file)
        )
        (folder / "gateway.yaml").write_text(document)
        (folder / "lists/shop").mkdir(parents=True)
        (folder / "lists/shop/orders.yaml").write_text(listed(one))
        plane = stack.enter_context(planes(folder))
        settings = envoy_settings(folder, xds_address=Address(path=str(folder / "xds.sock")))
        envoy = stack.enter_context(running_envoy(bytes(build_bootstrap(settings)), settings, folder=folder))
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False))
        yield Site(folder=folder, lists=lists, envoy=envoy, client=client, one=one, two=two, plane=plane, ca=authority)


def test_a_file(site: Site) -> None:
    """An edit moves requests and nothing else: no cluster, no connection, no revision. A broken file moves nothing."""
    site.until("/orders", site.one.port)
    clusters, connection = site.clusters, site.client.get("/orders").json()["connection"]
    site.save(f"- targets: ['127.0.0.1:{site.one.port}', '127.0.0.1:{site.two.port}']\n")
    site.until("/orders", site.one.port, site.two.port)
    assert connection in {site.client.get("/orders").json()["connection"] for _ in range(8)}
    for broken in ("", "- targets: [", "[]", '[{"targets": ["10.0.0.1:80"]}]'):
        failed = _failed(site)
        site.save(broken)
        _until_failed(site, "orders", failed)
        site.until("/orders", site.one.port, site.two.port)
    (site.folder / "lists/shop/orders.yaml").unlink()
    site.save(listed(site.two))
    site.until("/orders", site.two.port)
    assert site.clusters == clusters
    with site.plane.client() as admin:
        assert len(admin.get("/revisions").json()["items"]) == 1


def test_labels_of_a_list(site: Site) -> None:
    """A route that chooses by them follows the list; while nobody has them it answers 503."""
    assert site.client.get("/orders/new").status_code == 503
    groups = [(site.one, "v1"), (site.two, "v2")]
    found = [{"targets": [f"127.0.0.1:{backend.port}"], "labels": {"version": v}} for backend, v in groups]
    site.save(json.dumps(found))
    site.until("/orders/new", site.two.port)
    site.until("/orders", site.one.port, site.two.port)


def test_listed_endpoints_by_tls(site: Site) -> None:
    """A new endpoint gets requests when its certificate is for the name that the document says, and else none."""
    with (
        running_echo(site.ca.server("accounts.internal")) as right,
        running_echo(site.ca.server("other.internal")) as wrong,
    ):
        site.save(listed(right), "accounts")
        site.until("/accounts", right.port)
        site.save(listed(wrong), "accounts")
        site.until("/accounts", 0)
        assert not wrong.requests


async def test_endpoints_change_under_load(site: Site) -> None:
    """Every second request could meet a backend that has just left the list: no client sees it."""
    load = Load(port=site.client.base_url.port or 0, path="/orders/x")
    running = asyncio.create_task(load.run())
    backends = itertools.cycle((site.two, site.one))
    for backend in itertools.islice(backends, 6):
        site.save(listed(backend))
        reached = len(backend.requests) + 100
        await eventually(lambda b=backend, n=reached: len(b.requests) > n, "the list is obeyed")  # type: ignore[misc]
    load.stop()
    result = await running
    assert set(result.statuses) == {200}
    assert not result.broken
    assert result.total > 600


def test_a_url(site: Site) -> None:
    """What is away changes nothing; when it is back, what it says counts. Who has the list is not sent it again."""
    site.until("/stock", site.one.port)
    clusters = site.clusters
    wait_for(lambda: 304 in site.lists.answers or None, seconds=5, what="a 304")
    site.lists.stop()
    failed = _failed(site, "stock")
    _until_failed(site, "stock", failed)
    site.until("/stock", site.one.port)
    with site.plane.client() as admin:
        standing = admin.get("/discovery/stock").json()
    assert (standing["endpoints"], standing["error"]) == (1, "no answer: ConnectError")
    assert standing["good_at"] < standing["failing_since"]
    site.lists.body = listed(site.two).encode()
    site.lists.start()
    site.until("/stock", site.two.port)
    site.lists.status = 500
    wait_for(lambda: 500 in site.lists.answers or None, seconds=5, what="a 500")
    site.until("/stock", site.two.port)
    assert site.clusters == clusters


def _lose_everything(site: Site) -> None:
    """The control plane, both lists, and their files."""
    site.lists.stop()
    site.plane.kill()
    (site.folder / "lists/shop/orders.yaml").unlink()


def _until_new(site: Site) -> None:
    """Wait until Envoy has heard of a route that :func:`_add_route` has added."""
    wait_for(lambda: site.client.get("/more").status_code == 418 or None, seconds=10, what="the new document")


def _add_route(site: Site, *, before: str = "", after: str = "") -> None:
    """Change the document, also by writing ``after`` for ``before``."""
    document = (site.folder / "gateway.yaml").read_text().replace(before, after)
    new = "  - {match: {path: /more}, respond: {status: 418, body: new}}\n"
    (site.folder / "gateway.yaml").write_text(document + new)


def test_a_new_control_plane_without_its_lists(site: Site) -> None:
    """It begins with the last good ones: the running Envoy and a new cluster of it have their endpoints."""
    site.until("/orders", site.one.port)
    modified = int(site.clusters["cluster_manager.cluster_modified"])
    _lose_everything(site)
    _add_route(site, before="name: orders\n", after="name: orders\n    connect_timeout: 3s\n")
    with planes(site.folder):
        _until_new(site)
        assert int(site.clusters["cluster_manager.cluster_modified"]) == modified + 1
        site.until("/orders", site.one.port)
        site.until("/stock", site.one.port)


def test_a_new_control_plane_on_another_machine(site: Site) -> None:
    """With neither its lists nor what was kept of them: Envoy keeps the endpoints that it has."""
    site.until("/orders", site.one.port)
    modified = site.clusters["cluster_manager.cluster_modified"]
    _lose_everything(site)
    shutil.rmtree(site.folder / "state")
    _add_route(site)
    with planes(site.folder):
        _until_new(site)
        assert site.clusters["cluster_manager.cluster_modified"] == modified
        site.until("/orders", site.one.port)
        site.until("/stock", site.one.port)
        site.save(listed(site.two))
        site.until("/orders", site.two.port)


def _until_failed(site: Site, upstream: str, before: float) -> None:
    wait_for(lambda: _failed(site, upstream) > before or None, seconds=5, what=f"a list of {upstream} is refused")


def _failed(site: Site, upstream: str = "orders") -> float:
    text = httpx.get(f"{site.plane.url}/metrics", timeout=5).text
    name = f'gateway_discovery_reads_total{{outcome="failed",upstream="{upstream}"}} '
    return sum(float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))
