"""``introspection`` of a provider: tokens that only their issuer can read."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from controlplane.config.base import Section
from controlplane.config.durations import Duration
from controlplane.config.secret_references import SecretText
from controlplane.config.texts import Unique
from controlplane.config.token_places import AUTHORIZATION, TokenPlace, check_places
from controlplane.config.tokens import ANY, Audiences, ClaimName, ForwardedClaims, Party, Revocation
from controlplane.config.urls import SecretsUrl


class Introspection(Section):
    """Opaque tokens, about which their issuer is asked (RFC 7662)."""

    uri: SecretsUrl
    """The issuer's introspection endpoint. `https`, unless it is on this machine."""
    client_id: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[ -~]+$")]
    """As whom the gateway asks."""
    client_secret: SecretText | None = None
    """The client's secret: `env:GATEWAY_SECRET_NAME` or `file:NAME`. Without it the client is a public one."""
    issuer: Party = ANY
    """Exact value of the `iss` member of the answer; `any` does not look at it."""
    audiences: Audiences
    """The `aud` member has to contain one of these. `any`: tokens made for others count too, or for nobody."""
    ttl: Annotated[float, Duration(least=1, most=3600)] = 60.0
    """How long an answer counts, unless the token ends before: so long a token is good that its issuer withdraws."""
    leeway: Annotated[float, Duration(most=300)] = 30.0
    """Clock difference that is forgiven for `exp`, `nbf` and `iat`."""
    required_claims: Annotated[list[ClaimName], Unique] = Field(default=["sub"], max_length=50)
    """Members of the answer that have to be there and not be empty. Without `sub` no limit by user would hold."""
    forward_claims: ForwardedClaims = Field(default={}, max_length=50)
    """Member of the answer to the request header that carries it to the upstream. A client cannot set these headers."""
    tier_claim: ClaimName | None = None
    """The member that says the caller's tier: at most 64 letters, digits and `. _ ~ -`; anything else is no tier."""
    token_from: Annotated[list[TokenPlace], AfterValidator(check_places)] = Field(
        default=[TokenPlace(header=AUTHORIZATION)], min_length=1, max_length=5
    )
    """Where the token stands; a request that shows one in two places, or junk beside it, is a 401."""
    forward_token: bool | None = None
    """Whether the upstream gets the token too. Without it, one in `Authorization: Bearer` goes on, and what comes from
    anywhere else is taken out of the request."""
    revocation: Revocation | None = None
    """With it, even as `{}`, tokens that were revoked are refused at once (`gateway revocations`)."""
