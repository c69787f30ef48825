"""``authorize`` of a route: what is asked of a caller who is known."""

from __future__ import annotations

import ipaddress
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr

from controlplane.config.base import OneOf, Section, mistake
from controlplane.config.texts import Method, Unique
from servicekit.expressions import LONGEST_EXPRESSION, ExpressionError, compile_expression

_MOST = 50


def _check_range(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        hint = "write 192.0.2.0/24 or 2001:db8::/32; no bit after the prefix is set"
        raise mistake("ip-range", "this is not a range of addresses", hint) from None
    return text


def _check_expression(text: str) -> str:
    try:
        compile_expression(text)
    except ExpressionError as error:
        hint = "it is about claims, identity and request: see docs/reference/authorization.md"
        raise mistake("expression", f"this is no condition: {error}", hint) from None
    return text


ClaimPath = Annotated[str, Field(min_length=1, max_length=256)]
"""A claim, or a dotted path to what is inside of it."""
ClaimText = Annotated[StrictStr, Field(max_length=1024)]
ClaimNumber = Annotated[StrictInt, Field(ge=-(2**53), le=2**53)]
"""What every JSON reader tells apart (RFC 8259 §6)."""
ClaimValue = ClaimText | StrictBool | ClaimNumber
AddressRange = Annotated[str, AfterValidator(_check_range)]


class ClaimCondition(OneOf):
    """What one claim has to be. Types count: `true`, `1` and `"1"` are three values."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("equals", "contains", "any_of", "all_of")

    path: ClaimPath
    """The claim, or a dotted path as in `realm_access.roles`."""
    equals: ClaimValue | None = None
    """The whole claim is this."""
    contains: ClaimValue | None = None
    """The claim is an array that has this, or it is this."""
    any_of: list[ClaimValue] | None = Field(default=None, min_length=1, max_length=_MOST)
    """The array has one of these, or the claim is one of them."""
    all_of: list[ClaimValue] | None = Field(default=None, min_length=1, max_length=_MOST)
    """The array has all of these."""


class Authorize(Section):
    """What is asked of a caller who is known; all of it has to hold, else 403.

    An API key has neither roles nor claims: an `expression` can go by its `identity`.
    """

    roles: Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Unique] = Field(
        default=[], max_length=_MOST
    )
    """The token names one of these."""
    roles_claim: ClaimPath = "roles"
    """Where the token names its roles: a claim, or a dotted path as in `realm_access.roles`."""
    claims: list[ClaimCondition] = Field(default=[], max_length=_MOST)
    """Conditions on claims, all of which hold."""
    methods: Annotated[list[Method], Unique] = Field(default=[], max_length=20)
    """Methods, in capitals; empty is every method. Others are refused; `match.methods` would look for another route."""
    expression: Annotated[str, AfterValidator(_check_expression)] | None = Field(
        default=None, min_length=1, max_length=LONGEST_EXPRESSION
    )
    """A condition in CEL for the rest, as in `claims.tenant == identity.tier || request.path.startsWith("/public/")`.
    What cannot be worked out, such as a claim that is not there, counts as no."""
    client_ips: Annotated[list[AddressRange], Unique] = Field(default=[], max_length=_MOST)
    """Ranges of addresses; the client is in one of them."""
