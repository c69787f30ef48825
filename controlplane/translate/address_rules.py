"""Who may come, by IP address, in the words of Envoy's RBAC."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from envoy.config.core.v3.address_pb2 import CidrRange
from envoy.config.rbac.v3.rbac_pb2 import RBAC, Permission, Policy, Principal

from controlplane import model
from controlplane.translate.wellknown import uint32

_POLICY = "addresses"


def by_client(rules: model.AddressRules) -> RBAC:
    """By the client's address, found through as many proxies as the listener trusts."""
    return _rules(rules, lambda one: Principal(remote_ip=one))


def by_peer(rules: model.AddressRules) -> RBAC:
    """By the address that the connection comes from."""
    return _rules(rules, lambda one: Principal(direct_remote_ip=one))


def _rules(rules: model.AddressRules, principal: Callable[[CidrRange], Principal]) -> RBAC:
    both: list[Principal] = []
    if rules.allow:
        both.append(_any(rules.allow, principal))
    if rules.deny:
        both.append(Principal(not_id=_any(rules.deny, principal)))
    policy = Policy(permissions=[Permission(any=True)], principals=[Principal(and_ids=Principal.Set(ids=both))])
    return RBAC(action=RBAC.ALLOW, policies={_POLICY: policy})


def _any(ranges: tuple[str, ...], principal: Callable[[CidrRange], Principal]) -> Principal:
    return Principal(or_ids=Principal.Set(ids=[principal(cidr(text)) for text in ranges]))


def cidr(text: str) -> CidrRange:
    """A range as Envoy writes it."""
    network = ipaddress.ip_network(text)
    return CidrRange(address_prefix=str(network.network_address), prefix_len=uint32(network.prefixlen))
