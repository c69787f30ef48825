"""``jwt`` of a provider: tokens of one issuer."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from controlplane.config.base import OneOf, Section, mistake
from controlplane.config.durations import Duration
from controlplane.config.own_headers import OwnHeader
from controlplane.config.public_keys import Jwks, check_pem
from controlplane.config.secret_references import FileText, SecretText
from controlplane.config.texts import Unique
from controlplane.config.token_places import AUTHORIZATION, TokenPlace, check_places
from controlplane.config.token_refresh import TokenRefresh
from controlplane.config.urls import KeysUrl, check_keys_url

ANY: Final = "any"

Party = Annotated[str, Field(min_length=1, max_length=2048)]
ClaimName = Annotated[str, Field(min_length=1, max_length=256)]
TokenAlgorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"
]  # fmt: skip
TokenType = Annotated[str, Field(max_length=128)]


def _check_distinct(claims: dict[str, str]) -> dict[str, str]:
    if len(set(claims.values())) < len(claims):
        raise mistake("duplicate", "two claims go into one header")
    return claims


def _from_any(value: Any) -> Any:
    return [ANY] if value == ANY else value


def _check_any(audiences: list[str]) -> list[str]:
    if ANY in audiences and len(audiences) > 1:
        raise mistake("any", "any beside others is any", "write `any` alone, or leave it out")
    return audiences


def _check_discovery(discovery: bool, info: ValidationInfo) -> bool:
    if not discovery:
        raise mistake("discovery", "there is nothing to turn off", "leave it out, and say where the keys are")
    issuer = info.data.get("issuer")
    if issuer == ANY:
        raise mistake("discovery", "any issuer has no metadata", "name the issuer, or say where the keys are")
    if issuer is not None and "?" in check_keys_url(issuer):
        raise mistake("discovery", "an issuer with a query has no metadata", "say where the keys are")
    return discovery


def _check_algorithms(algorithms: list[str], info: ValidationInfo) -> list[str]:
    """HMAC beside public keys is the confusion of RFC 8725 §2.1."""
    if "secret" not in info.data:  # it has a mistake of its own
        return algorithms
    with_secret = info.data["secret"] is not None
    for name in algorithms:
        if name.startswith("HS") is not with_secret:
            message = "a secret verifies HS algorithms only" if with_secret else f"{name} needs a secret"
            hint = "write HS256, HS384 or HS512" if with_secret else "leave it out, or name a secret instead of keys"
            raise mistake("algorithm", message, hint)
    return algorithms


Audiences = Annotated[
    list[Party],
    Field(min_length=1, max_length=100),
    Unique,
    AfterValidator(_check_any),
    BeforeValidator(_from_any, json_schema_input_type=Literal["any"] | list[Party]),
]
ForwardedClaims = Annotated[dict[ClaimName, OwnHeader], AfterValidator(_check_distinct)]


class Revocation(Section):
    """What the list of revocations means for tokens."""

    on_store_failure: Literal["deny", "allow"] = "deny"
    """What becomes of requests while an ext_authz has never read the list, as after a restart without Redis: 503, or
    they go on as if nothing were revoked. A list that was read once counts on without Redis."""


class Jwt(OneOf):
    """Tokens of one issuer (RFC 7519)."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("jwks_uri", "discovery", "jwks", "jwks_file", "pem", "secret")

    issuer: Party
    """Exact value of the `iss` claim. `any`: whoever has the keys may say anything."""
    audiences: Audiences
    """The `aud` claim has to contain one of these. `any`: tokens made for others count too, or for nobody."""
    jwks_uri: KeysUrl | None = None
    """Where the issuer publishes its keys (RFC 7517). `https`, unless it is on this machine."""
    discovery: Annotated[bool, AfterValidator(_check_discovery), Field(json_schema_extra={"const": True})] | None = None
    """`true`: the issuer says where its keys are, at `/.well-known/openid-configuration` below it (OpenID Connect
    Discovery 1.0 §4). The issuer is an `https` URL then, unless it is on this machine."""
    jwks: Jwks | None = None
    """The issuer's keys themselves."""
    jwks_file: FileText | None = None
    """A file with the issuer's keys, a JWK Set or PEM: `file:NAME` below `GATEWAY_SECRETS_DIR` of ext_authz, which
    looks at it every second. While it is no good, the last keys that were go on."""
    pem: Annotated[str, AfterValidator(check_pem)] | None = Field(default=None, max_length=65_536)
    """The issuer's public keys in PEM, each from `-----BEGIN PUBLIC KEY-----` to its end."""
    secret: SecretText | None = None
    """A secret that the issuer and the gateway share, for HMAC: `env:GATEWAY_SECRET_NAME` or `file:NAME`, at least 32
    bytes (48 for HS384, 64 for HS512). Whoever has it can make tokens."""
    algorithms: Annotated[list[TokenAlgorithm], Unique, AfterValidator(_check_algorithms)] | None = Field(
        default=None, min_length=1
    )
    """The only `alg` values that are accepted (RFC 8725 §3.1). Without it: `RS256`, `ES256` and `EdDSA`, or `HS256`
    with a `secret`. HS algorithms are for secrets, and secrets for them."""
    leeway: Annotated[float, Duration(most=300)] = 30.0
    """Clock difference that is forgiven for `exp`, `nbf` and `iat`."""
    required_claims: Annotated[list[ClaimName], Unique] = Field(default=["exp", "sub"], max_length=50)
    """Claims that have to be there and not be empty. A token without `exp` is good for ever."""
    types: Annotated[list[TokenType], Unique] = Field(default=["", "JWT", "at+jwt"], min_length=1, max_length=20)
    """Accepted `typ` (RFC 8725 §3.11), in any case; the empty text stands for a token without one."""
    max_lifetime: Annotated[float, Duration(least=1, most=31_536_000)] | None = None
    """Longest time from `iat` to `exp`; with it, both have to be there."""
    forward_claims: ForwardedClaims = Field(default={}, max_length=50)
    """Claim to the request header that carries it to the upstream. A client cannot set these headers."""
    tier_claim: ClaimName | None = None
    """The claim that says the caller's tier: at most 64 letters, digits and `. _ ~ -`; anything else is no tier. It
    becomes dynamic metadata (`tier`)."""
    token_from: Annotated[list[TokenPlace], AfterValidator(check_places)] = Field(
        default=[TokenPlace(header=AUTHORIZATION)], min_length=1, max_length=5
    )
    """Where the token stands; a request that shows one in two places, or junk beside it, is a 401."""
    forward_token: bool | None = None
    """Whether the upstream gets the token too. Without it, one in `Authorization: Bearer` goes on, and what comes from
    anywhere else is taken out of the request."""
    revocation: Revocation | None = None
    """With it, even as `{}`, tokens that were revoked are refused (`gateway revocations`)."""
    refresh: TokenRefresh | None = None
    """With it, a browser whose access token is over or gone gets another through its refresh token."""
    jwks_ttl: Annotated[float, Duration(least=1)] = 600.0
    """Age at which keys are fetched again. A token with an unknown key does that too."""
    jwks_stale: Annotated[float, Duration(most=2_592_000)] = 3600.0
    """How much longer known keys are used while the issuer does not answer."""

    @property
    def access_cookie(self) -> str | None:
        """The one cookie in which a token may stand."""
        cookies = [place.cookie for place in self.token_from if place.cookie is not None]
        return cookies[0] if len(cookies) == 1 else None

    @model_validator(mode="after")
    def _refreshes_a_cookie(self) -> Self:
        if self.refresh is None:
            return self
        if self.access_cookie is None:
            message = "nobody knows in which cookie the new token goes"
            raise mistake("refresh-cookie", message, "write one cookie in token_from, as in [{cookie: session}]")
        if self.refresh.cookie == self.access_cookie:
            raise mistake("refresh-cookie", "both tokens would be in one cookie", "give refresh another cookie")
        return self
