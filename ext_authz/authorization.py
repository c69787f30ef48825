"""What a route asks beyond "who is calling": roles, claims, methods and addresses, compiled once. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ext_authz.forwarding import ForwardedClaim
from servicekit.contracts import Authorize, ClaimCondition
from servicekit.expressions import Expression, ExpressionError, compile_expression

Claims: TypeAlias = Mapping[str, Any]
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Holds: TypeAlias = Callable[[Claims], bool]

ROLES: Final = "roles"
CLAIMS: Final = "claims"
METHOD: Final = "method"
CLIENT_IP: Final = "client_ip"
EXPRESSION: Final = "expression"


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What is known of a request beside its headers. Empty is unknown, and never allowed where it counts."""

    method: str = ""
    client_ip: str = ""
    """The client as the proxy determined it, without a port."""
    path: str = ""
    """With the query."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What expressions may know of who is calling."""

    claims: Claims
    identity: Claims


NOBODY: Final = Caller({}, {})


@dataclass(frozen=True, slots=True)
class Authorization:
    """The conditions of one rule. Each part that is empty allows everything."""

    claims: tuple[tuple[str, Holds], ...] = ()
    """What is asked of a token, each with the word for what fails."""
    methods: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    expression: Expression | None = None

    @property
    def asks_request(self) -> bool:
        """Whether the answer depends on more than the credentials."""
        return bool(self.methods or self.networks or (self.expression is not None and self.expression.asks_request))

    def refuses_caller(self, caller: Caller) -> str | None:
        """:data:`EXPRESSION` when that is about the caller alone, and false; else ``None``."""
        expression = self.expression
        if expression is None or expression.asks_request:
            return None
        return None if expression.holds(claims=caller.claims, identity=caller.identity) else EXPRESSION

    def refuses_claims(self, claims: Claims) -> str | None:
        """The kind of the first condition that ``claims`` do not meet, or ``None``."""
        for kind, holds in self.claims:
            if not holds(claims):
                return kind
        return None

    def refuses_request(self, request: RequestFacts, caller: Caller) -> str | None:
        """The kind of the first condition that ``request`` of ``caller`` does not meet, or ``None``."""
        return self.refuses_origin(request) or self.refuses_expression(request, caller)

    def refuses_origin(self, request: RequestFacts) -> str | None:
        """:data:`METHOD` or :data:`CLIENT_IP`, whichever is not one that may be; else ``None``."""
        if self.methods and request.method not in self.methods:
            return METHOD
        if self.networks and not _is_within(request.client_ip, self.networks):
            return CLIENT_IP
        return None

    def refuses_expression(self, request: RequestFacts, caller: Caller) -> str | None:
        """:data:`EXPRESSION` when that is about the request too, and false; else ``None``."""
        expression = self.expression
        if expression is None or not expression.asks_request:
            return None
        path, _, query = request.path.partition("?")
        told = {"method": request.method, "client_ip": request.client_ip, "path": path, "query": query}
        holds = expression.holds(claims=caller.claims, identity=caller.identity, request=told)
        return None if holds else EXPRESSION


ANYONE: Final = Authorization()


def compile_authorization(written: Authorize | None) -> Authorization:
    """The conditions, ready for requests.

    Raises:
        ValueError: an address range or the expression cannot be read.
    """
    if written is None:
        return ANYONE
    conditions = [(CLAIMS, _condition(one)) for one in written.claims]
    if written.roles:
        conditions.insert(0, (ROLES, _any_of(written.roles_claim, written.roles)))
    return Authorization(
        claims=tuple(conditions),
        methods=frozenset(written.methods),
        networks=tuple(_network(text) for text in written.client_ips),
        expression=_expression(written.expression),
    )


def _expression(text: str) -> Expression | None:
    if not text:
        return None
    try:
        return compile_expression(text)
    except ExpressionError as error:
        raise ValueError(f"expression: {error}") from None


def _condition(written: ClaimCondition) -> Holds:
    if written.operator == "equals":
        return _equals(written.path, written.values[0])
    if written.operator == "any_of":
        return _any_of(written.path, written.values)
    return _all_of(written.path, written.values)


def _equals(path: str, wanted: object) -> Holds:
    find = ForwardedClaim(path, "").value_in
    key = _typed(wanted)

    def holds(claims: Claims) -> bool:
        return _typed(find(claims)) == key

    return holds


def _any_of(path: str, wanted: Iterable[object]) -> Holds:
    find = ForwardedClaim(path, "").value_in
    keys = frozenset(_typed(value) for value in wanted)

    def holds(claims: Claims) -> bool:
        return not keys.isdisjoint(_elements(find(claims)))

    return holds


def _all_of(path: str, wanted: Iterable[object]) -> Holds:
    find = ForwardedClaim(path, "").value_in
    keys = frozenset(_typed(value) for value in wanted)

    def holds(claims: Claims) -> bool:
        return keys.issubset(_elements(find(claims)))

    return holds


def _elements(value: object) -> list[tuple[type, object]]:
    """The elements of an array; anything else is the only element of itself."""
    return [_typed(element) for element in value] if isinstance(value, list) else [_typed(value)]


def _typed(value: object) -> tuple[type, object]:
    """A value that is equal to itself only: in JSON ``true`` is not ``1``, as it is in Python."""
    return (type(value), value) if isinstance(value, str | bool | int | float) else (type(None), None)


def _network(text: str) -> Network:
    network = ipaddress.ip_network(text)
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))


def _is_within(text: str, networks: tuple[Network, ...]) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    # A socket for both families shows IPv4 clients as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2).
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


_MAPPED_BITS: Final = 96
