"""The real Envoy is asked before anything goes live."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from controlplane.config import ConfigError, GatewayConfig, load_document
from controlplane.model import CertificateFiles, ListenerTls, UpstreamTls
from controlplane.preflight import EnvoyPreflight, PreflightError, PreflightUnavailableError, check_groups
from controlplane.preflight.sandbox import CannotRunError, Sandbox
from controlplane.resolve import resolve
from controlplane.translate import translate_release
from controlplane.xds.snapshot import Snapshot
from gateway.binaries import envoy_path
from tests.harness import gateways
from tests.harness.gateways import edge_snapshot

PLAIN = """\
listeners: [{name: http, port: 8000}]
upstreams: [{name: a, endpoints: ["http://127.0.0.1:1"]}]
routes: [{match: {path: /}, upstream: a}]
"""


@pytest.fixture
def preflight() -> EnvoyPreflight:
    """With the Envoy of the ``embedded`` extra."""
    return EnvoyPreflight(binary=envoy_path(), deadline=10)


def test_a_good_snapshot_passes(preflight: EnvoyPreflight) -> None:
    """Listeners, routes, clusters, endpoints, limits and authentication together."""
    preflight.check(edge_snapshot(gateways.gateway()))


def test_upstreams_with_tls_pass(preflight: EnvoyPreflight) -> None:
    """Nodes bring the authorities that vouch for them; here stands one in for those."""
    preflight.check(edge_snapshot(gateways.gateway(upstreams=(gateways.upstream(tls=UpstreamTls(), discovery="dns"),))))


def test_files_of_the_nodes_are_not_asked_for(preflight: EnvoyPreflight) -> None:
    """Certificates of a listener lie on other machines; the rest of the listener is looked at."""
    tls = ListenerTls(certificates=(CertificateFiles(certificate="/nowhere/tls.crt", key="/nowhere/tls.key"),))
    preflight.check(edge_snapshot(gateways.gateway(listeners=(gateways.listener(tls=tls),))))


def test_files_of_the_nodes_for_upstreams_are_not_asked_for(preflight: EnvoyPreflight) -> None:
    """Authorities and a certificate of an upstream lie on other machines too; behind the PROXY protocol as well."""
    files = CertificateFiles(certificate="/nowhere/tls.crt", key="/nowhere/tls.key")
    tls = UpstreamTls(ca="/nowhere/ca.crt", client_certificate=files)
    for told in (None, "v2"):
        upstream = gateways.upstream(tls=tls, proxy_protocol=told)
        preflight.check(edge_snapshot(gateways.gateway(upstreams=(upstream,))))


def test_envoys_own_words_come_back(preflight: EnvoyPreflight) -> None:
    """An expression that only Envoy's own regex library refuses; no log prefix and no path of a file."""
    route = gateways.route(match=gateways.match("/(unclosed", "regex"))
    with pytest.raises(PreflightError, match=r"^missing \): /\(unclosed$"):
        preflight.check(edge_snapshot(gateways.gateway(routes=(route,))))


def test_a_missing_binary_is_not_a_refusal() -> None:
    """Nobody could be asked, which is another thing than a no."""
    with pytest.raises(PreflightUnavailableError, match="no-such-envoy: No such file"):
        EnvoyPreflight(binary=Path("no-such-envoy"), deadline=1).check(edge_snapshot(gateways.gateway()))


def test_an_envoy_that_hangs_is_given_up(tmp_path: Path) -> None:
    """The deadline ends the child."""
    hanging = script(tmp_path, "exec tail -f /dev/null")
    with pytest.raises(PreflightUnavailableError, match=r"^Envoy: no answer within 0\.1 s$"):
        EnvoyPreflight(binary=hanging, deadline=0.1).check(edge_snapshot(gateways.gateway()))


def test_a_crash_is_a_refusal(tmp_path: Path) -> None:
    """What makes Envoy abort must not go live."""
    crashing = script(tmp_path, "kill -ABRT $$")
    with pytest.raises(PreflightError, match=r"^no reason given \(status -6\)$"):
        EnvoyPreflight(binary=crashing, deadline=5).check(edge_snapshot(gateways.gateway()))


def test_as_large_as_the_nodes_bootstrap_allows(preflight: EnvoyPreflight) -> None:
    """Neither less, which would refuse good documents, nor more, which nodes would refuse."""
    for regex, taken in (("/" + "|".join(f"word{n}x{{9}}" for n in range(90)), True), (".{900}" * 6, False)):
        snapshot = edge_snapshot(gateways.gateway(routes=(gateways.route(match=gateways.match(regex, "regex")),)))
        if taken:
            preflight.check(snapshot)
        else:
            with pytest.raises(PreflightError, match="max program size of 10000"):
                preflight.check(snapshot)


def test_what_envoy_means_is_named_with_line_and_column(preflight: EnvoyPreflight) -> None:
    """In every group that has one, each once, with the words against this very value."""
    with pytest.raises(ConfigError) as raised:
        check_text(
            preflight,
            """\
listeners: [{name: http, port: 8000}]
upstreams: [{name: a, endpoints: ["http://127.0.0.1:1"]}]
node_groups:
  - {name: inside, nodes: {ids: ["in-*"]}, routes: {labels: {for: inside}}}
  - {name: rest}
routes:
  - {match: {path_regex: '/\\p{Inside}'}, upstream: a, labels: {for: inside}}
  - {match: {path_regex: '/\\p{Nope}', methods: [GET]}, upstream: a, labels: {for: all}}
  - match:
      path_prefix: /b
      headers: {x-a: q, x-b: {regex: '\\p{Neither}'}}
    upstream: a
""",
        )
    assert str(raised.value).splitlines() == [
        r"g.yaml:7:26: Envoy refuses what this becomes: invalid character class range: \p{Inside}",
        r"g.yaml:8:26: Envoy refuses what this becomes: invalid character class range: \p{Nope}",
        r"g.yaml:11:38: Envoy refuses what this becomes: invalid character class range: \p{Neither}",
    ]


def test_groups_that_get_the_same_are_asked_about_once(tmp_path: Path) -> None:
    """And those that get something else once more."""
    counting = script(tmp_path, f"echo >> {tmp_path}/asked")
    first, second = (edge_snapshot(gateways.gateway(upstreams=(gateways.upstream(port=port),))) for port in (1, 2))
    document = load_document(PLAIN.encode(), origin="")
    groups = {"a": first, "b": first, "c": second}
    check_groups(EnvoyPreflight(binary=counting, deadline=5), document, groups, lambda _: groups)
    assert (tmp_path / "asked").read_text() == "\n\n"


def test_the_child_finds_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    """No environment, no core, a file of a megabyte at most, and what it has started ends with it."""
    telling = script(
        tmp_path,
        "sleep 0.1; tail -f /dev/null & echo $! >&2; tr '\\0' ' ' < /proc/$$/environ >&2; ulimit -c >&2; ulimit -f >&2",
    )
    ended = Sandbox().run([telling], folder=tmp_path, seconds=5)
    started, *said = ended.said.split()
    assert said == ["0", "2048"]  # in blocks of 512 bytes
    until(lambda: is_gone(int(started)))


def test_a_process_that_stops_waits_for_no_verdict(tmp_path: Path) -> None:
    """Closing ends what runs in another thread, and lets nothing begin."""
    sandbox, reasons = Sandbox(), list[str]()

    def run() -> None:
        try:
            sandbox.run([script(tmp_path, "echo > begun; tail -f /dev/null")], folder=tmp_path, seconds=60)
        except CannotRunError as error:
            reasons.append(str(error))

    waiting = threading.Thread(target=run)
    waiting.start()
    until(lambda: (tmp_path / "begun").exists())
    sandbox.close()
    waiting.join(timeout=5)
    run()
    assert reasons == ["stopping", "stopping"]


def check_text(preflight: EnvoyPreflight, text: str) -> None:
    """Translate a document and show it."""

    def groups(document: GatewayConfig) -> Mapping[str, Snapshot]:
        return translate_release(resolve(document, listen_address="127.0.0.1")).groups

    document = load_document(text.encode(), origin="g.yaml")
    check_groups(preflight, document, groups(document), groups)


def script(folder: Path, text: str) -> Path:
    """A program."""
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return path


def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline


def is_gone(pid: int) -> bool:
    """Whether there is no such process (any more)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
