"""Whether the addresses of a run can be had."""

from __future__ import annotations

import socket

from gateway.up.listening import Claim, conflicts
from servicekit.address import Address
from tests.harness.ports import free_port


def claim(port: int, host: str = "127.0.0.1", *, what: str = "a part") -> Claim:
    """One wish for a port."""
    return Claim(Address(host=host, port=port), what, f"GATEWAY_{what.upper().replace(' ', '_')}")


def test_free_ports_are_no_conflict() -> None:
    """Nothing to say."""
    assert conflicts([claim(free_port()), claim(free_port())]) == []


def test_a_port_in_use_is_named_with_what_to_change() -> None:
    """Also when the other listens on all addresses of the machine, and shares its port with whoever asks."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (line,) = conflicts([claim(port)])
    assert line == f"port {port} is in use, and a part needs it. Change GATEWAY_A_PART."


def test_two_parts_that_want_one_port_are_told_apart() -> None:
    """Before either is started; another address of the machine is no conflict."""
    port = free_port()
    (line,) = conflicts([claim(port, what="one"), claim(port, what="other"), claim(port, "127.0.0.2")])
    assert line == f"port {port} is wanted twice: by one and by other. Change GATEWAY_OTHER."


def test_all_addresses_overlap_with_each_one() -> None:
    """0.0.0.0 takes the port everywhere."""
    port = free_port()
    (line,) = conflicts([claim(port, "0.0.0.0", what="one"), claim(port, what="other")])
    assert "wanted twice" in line


def test_an_address_of_another_machine_is_said_to_be_one() -> None:
    """The system's own words, and the setting."""
    (line,) = conflicts([claim(free_port(), "192.0.2.1")])
    assert "cannot listen on 192.0.2.1" in line
    assert line.endswith("Change GATEWAY_A_PART.")
