"""Lists of targets: read whole or refused whole, and never by anything but the parser's own error."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from controlplane.discovery import DiscoveryError, parse_targets
from controlplane.discovery.targets import MAX_BYTES, MAX_ENDPOINTS, written
from controlplane.model import Endpoint

ADDRESSES = st.ip_addresses().filter(lambda ip: ip.version == 4 or ip.scope_id is None)
TARGETS = st.tuples(ADDRESSES, st.integers(1, 65535))
SECRET = "hunter2"


def as_text(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> str:
    """As a list has it."""
    return f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"


def test_a_list() -> None:
    """Groups with and without labels, in either language; sorted, and each once."""
    text = json.dumps(
        [
            {"targets": ["10.0.0.2:80", "[2001:DB8:0::1]:80"], "labels": {"env": "prod"}},
            {"targets": ["10.0.1.1:80"], "labels": {"gateway_weight": "3", "gateway_priority": "1"}},
            {"targets": ["10.0.0.1:80"]},
        ]
    )
    expected = (
        Endpoint(host="10.0.0.1", port=80),
        Endpoint(host="10.0.0.2", port=80, labels=(("env", "prod"),)),
        Endpoint(host="2001:db8::1", port=80, labels=(("env", "prod"),)),
        Endpoint(host="10.0.1.1", port=80, weight=3, priority=1),
    )
    assert parse_targets(text.encode()) == expected
    assert parse_targets(yaml.safe_dump(json.loads(text)).encode()) == expected
    assert parse_targets(b"[]") == ()
    assert parse_targets(b"- targets: ['10.0.0.1:80']\n  labels: {gateway_weight: 2}\n")[0].weight == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("{}", "is no list"),
        ("null", "is no list"),
        ("[", "neither JSON nor YAML (line 1, column 2)"),
        ("- targets: [", "neither JSON nor YAML"),
        ("\ud800", "neither"),
        ("[hunter2]", "[0]: a group"),
        ('[{"targets": [], "source": "x"}]', "[0]: a group"),
        ('[{"labels": {}}]', "[0]: a group"),
        ('[{"targets": "10.0.0.1:80"}]', "[0]: targets"),
        ('[{"targets": [], "labels": []}]', "[0]: targets"),
        ('[{"targets": []}, {"targets": ["10.0.0.1:80", "hunter2:80"]}]', "[1].targets[1]: a target"),
        ('[{"targets": ["10.0.0.1"]}]', "[0].targets[0]"),
        ('[{"targets": ["10.0.0.1:0"]}]', "[0].targets[0]"),
        ('[{"targets": ["10.0.0.1:99999"]}]', "[0].targets[0]"),
        ('[{"targets": ["unix:/run/hunter2"]}]', "[0].targets[0]"),
        ('[{"targets": ["http://10.0.0.1:80"]}]', "[0].targets[0]"),
        ('[{"targets": [80]}]', "[0].targets[0]"),
        ('[{"targets": ["10.0.0.1:80"], "labels": {"gateway_weight": "0"}}]', "gateway_weight: this is 1 to 128"),
        ('[{"targets": ["10.0.0.1:80"], "labels": {"gateway_weight": "x"}}]', "gateway_weight"),
        ('[{"targets": ["10.0.0.1:80"], "labels": {"gateway_priority": "1"}}]', "no endpoint has priority 0"),
        (
            '[{"targets": ["10.0.0.1:80"]}, {"targets": ["10.0.0.1:80"], "labels": {"gateway_weight": "2"}}]',
            "[1].targets[0]: the same endpoint",
        ),
        ("[" * 100_000, "neither"),
        (f'[{{"targets": ["10.0.0.1:80"], "labels": {{"gateway_weight": {"9" * 5000}}}}}]', ""),
    ],
)
def test_what_is_no_list(text: str, why: str) -> None:
    """The place is named, and nothing of what stands there is repeated."""
    with pytest.raises(DiscoveryError) as caught:
        parse_targets(text.encode(errors="surrogatepass"))
    assert why in str(caught.value)
    assert SECRET not in str(caught.value)


def test_labels() -> None:
    """Those that a document could have, without ours; what could be none is left out."""
    labels = {
        "version": "v1",
        "__meta_x": "y",
        "job": "not a label",
        "gateway_zone": "a",
        "gateway_region": "eu",
        "n": 2,
    }
    (found,) = parse_targets(json.dumps([{"targets": ["10.0.0.1:80"], "labels": labels}]).encode())
    assert (found.region, found.zone) == ("eu", "a")
    assert found.labels == (("n", "2"), ("version", "v1"))
    assert parse_targets(written([found]).encode()) == (found,)
    too_many: dict[str, Any] = dict.fromkeys(map(str, range(51)), "")
    mistakes: list[dict[str, Any]] = [{"x": None}, {"x": []}, {"x": True}, {"gateway_zone": "a\n"}, too_many]
    for bad in mistakes:
        with pytest.raises(DiscoveryError, match=r"\[0\]\.labels"):
            parse_targets(json.dumps([{"targets": ["10.0.0.1:80"], "labels": bad}]).encode())


def test_bounds() -> None:
    """No list is too large to be refused quickly."""
    with pytest.raises(DiscoveryError, match="1024 KiB"):
        parse_targets(b" " * (MAX_BYTES + 1))
    targets = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}:80" for n in range(MAX_ENDPOINTS + 1)]
    assert len(parse_targets(json.dumps([{"targets": targets[1:]}]).encode())) == MAX_ENDPOINTS
    with pytest.raises(DiscoveryError, match="5000 endpoints"):
        parse_targets(json.dumps([{"targets": targets}]).encode())


@given(st.lists(st.lists(TARGETS)), st.randoms())
def test_order_means_nothing(groups: list[list[Any]], chance: Any) -> None:
    """What a list means does not depend on how it is sorted, and everything of it is there."""
    lists = [{"targets": [as_text(*target) for target in group]} for group in groups]
    found = parse_targets(json.dumps(lists).encode())
    assert {(one.host, one.port) for one in found} == {(str(ip), port) for group in groups for ip, port in group}
    chance.shuffle(lists)
    assert parse_targets(json.dumps(lists).encode()) == found


@given(st.dictionaries(TARGETS, st.tuples(st.integers(1, 128), st.integers(0, 1))))
def test_written_and_read_again(found: dict[Any, tuple[int, int]]) -> None:
    """What is kept on disk is what was found."""
    endpoints = [
        Endpoint(host=str(ip), port=port, weight=weight, priority=priority)
        for (ip, port), (weight, priority) in found.items()
    ]
    if any(one.priority == 0 for one in endpoints) or not endpoints:
        assert set(parse_targets(written(endpoints).encode())) == set(endpoints)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["10.0.0.1:80", "[::]:1"]),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["targets", "labels", "gateway_weight", "x"]), inner)
    ),
    max_leaves=20,
)


@given(st.binary() | st.text().map(str.encode) | JSON.map(lambda value: json.dumps([value]).encode()))
def test_any_bytes_are_read_or_refused(source: bytes) -> None:
    """Nothing but the parser's own error, whatever a registry answers."""
    try:
        found = parse_targets(source)
    except DiscoveryError:
        return
    for endpoint in found:
        assert str(ipaddress.ip_address(endpoint.host)) == endpoint.host
        assert 0 < endpoint.port < 65536
