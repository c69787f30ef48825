"""Where endpoints of a list may be: not on this machine and not where only neighbours are, unless that was said."""

from __future__ import annotations

import pytest

from controlplane.discovery import DiscoveryError
from controlplane.discovery.permission import check_endpoints
from controlplane.model import Endpoint, TargetList

RULES = TargetList(kind="file", place="x")


def at(*hosts: str) -> list[Endpoint]:
    """Endpoints there."""
    return [Endpoint(host=host, port=80) for host in hosts]


@pytest.mark.parametrize("host", ["10.0.0.1", "203.0.113.9", "2001:db8::1", "fd00::1", "::ffff:10.0.0.1"])
def test_other_machines(host: str) -> None:
    """Wherever routing leads."""
    check_endpoints(at(host), RULES)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "169.254.169.254", "fe80::1", "224.0.0.1", "ff02::1",
        "0.0.0.0", "::", "::ffff:169.254.169.254",
    ],
)  # fmt: skip
def test_this_machine_and_its_neighbours(host: str) -> None:
    """Refused, unless the document names the network."""
    with pytest.raises(DiscoveryError, match="1 of 2 endpoints"):
        check_endpoints(at("10.0.0.1", host), RULES)


def test_networks() -> None:
    """They are all that counts; an IPv4 address does not slip in as IPv6."""
    rules = TargetList(kind="file", place="x", networks=("10.0.0.0/8", "127.0.0.0/8", "2001:db8::/32"))
    check_endpoints(at("10.1.1.1", "127.0.0.1", "2001:db8::1", "::ffff:10.1.1.1"), rules)
    for host in ("11.0.0.1", "::1", "::ffff:11.0.0.1"):
        with pytest.raises(DiscoveryError, match="networks"):
            check_endpoints(at(host), rules)


def test_too_few() -> None:
    """An empty list is a mistake unless the document says otherwise."""
    with pytest.raises(DiscoveryError, match="0 endpoints, and at_least says 1"):
        check_endpoints([], RULES)
    check_endpoints([], TargetList(kind="file", place="x", at_least=0))
