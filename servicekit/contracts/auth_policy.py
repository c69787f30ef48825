"""``AuthPolicy``: who may call what, as ext_authz enforces it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr

from servicekit.contracts.base import MOST_OTHERS, Contract

METADATA_NAMESPACE = "envoy.filters.http.ext_authz"
"""Where Envoy puts the dynamic metadata that ext_authz answers with."""

METADATA_USER_ID = "user_id"
"""The caller as its identity provider names it (JWT ``sub``), for the access log."""

METADATA_USER = "user"
"""The caller across all providers, unambiguous: what a limit ``by: user`` counts."""

METADATA_API_KEY = "api_key"
"""Provider and id (never the secret) of the API key: what a limit ``by: api_key`` counts. Two providers may have keys
with the same id."""

METADATA_PROVIDER = "provider"
"""The document's name of the provider that vouched for the caller."""

METADATA_TIER = "tier"
"""What the caller is worth, as its provider says: a text of at most 64 characters."""

TIER_PATTERN = r"[A-Za-z0-9._~-]{1,64}"
"""What can be a tier: it stands in metadata, logs and names of counters."""

METADATA_SCOPES = "scopes"
"""What the caller's token grants (RFC 6749 §3.3), words separated by single spaces, sorted; at most 4 KiB."""

RULE_EXTENSION = "rule"
"""The ``context_extensions`` key under which a route names its :class:`AuthRule`."""


Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"
]  # fmt: skip
"""Signature algorithms that ext_authz knows (RFC 7518 §3.1, RFC 8037 §3.1). Those of HMAC are for secrets alone."""


class TokenPlace(Contract):
    """Where in a request a token may stand."""

    kind: Literal["header", "cookie", "query"]
    name: str
    """Of the header (in lower case), the cookie or the query parameter."""
    prefix: str = ""
    """What stands before the token in a header, in any case."""


class TokenRefresh(Contract):
    """How expired access tokens in a cookie are renewed (RFC 6749 §6)."""

    token_uri: str
    client_id: str
    client_secret: str | None = None
    """A reference to it; ``None`` for a public client."""
    access_cookie: str
    refresh_cookie: str
    path: str = "/"
    same_site: Literal["Strict", "Lax", "None"] = "Lax"
    secure: bool = True
    lifetime_seconds: int | None = None
    """How long browsers keep the refresh token; ``None`` until they are closed."""


class Introspection(Contract):
    """How an issuer is asked about its tokens (RFC 7662)."""

    uri: str
    client_id: str
    client_secret: str | None = None
    """A reference to it; ``None`` for a public client."""
    ttl_seconds: float = Field(gt=0)
    """How long an answer counts."""


class JwtProvider(Contract):
    """Tokens of one issuer (RFC 7519)."""

    kind: Literal["jwt"] = "jwt"
    name: str
    issuer: str | None
    """Exact value of ``iss``; ``None`` is any."""
    audiences: tuple[str, ...] | None
    """``aud`` has to contain one of these; ``None`` is any."""
    algorithms: tuple[Algorithm, ...]
    """The only ``alg`` values accepted (RFC 8725 §3.1)."""
    jwks_uri: str = ""
    """Where the issuer publishes its keys (RFC 7517 §5); empty when they are had otherwise."""
    leeway_seconds: float = Field(ge=0, le=300)
    """Clock difference forgiven for ``exp``, ``nbf`` and ``iat``."""
    jwks_ttl_seconds: float = Field(gt=0)
    """Age at which keys are fetched again."""
    jwks_stale_seconds: float = Field(ge=0)
    """How long keys go on being used after :attr:`jwks_ttl_seconds` while the provider does not answer."""
    forward_claims: dict[str, str]
    """Claim name (or dotted path, as in ``realm_access.roles``) to the request header that carries it to the
    backend, in lower case."""
    required_claims: tuple[str, ...] = ("exp", "sub")
    """Claims that have to be there and not be empty. Without ``sub`` no limit by user would hold."""
    types: tuple[str, ...] = ()
    """Accepted ``typ`` (RFC 8725 §3.11), where the empty string stands for a token without one. No types at all
    means ``JWT``, ``at+jwt`` or none."""
    max_lifetime_seconds: float | None = Field(default=None, gt=0)
    """Longest ``exp - iat``."""
    forward_token: bool = True
    """Whether the backend gets the token too."""
    token_from: tuple[TokenPlace, ...] = Field(default=(), exclude_if=lambda places: not places)
    """Where the token stands, in one of these; no places at all are ``Authorization: Bearer``. Left out of the JSON
    when it is nothing: ids of rules stay as they were."""
    revocation: Literal["deny", "allow"] | None = Field(default=None, exclude_if=lambda asked: asked is None)
    """Whether the list of revocations counts for these tokens, and what becomes of them while it was never read.
    Left out of the JSON when it does not count: ids of rules stay as they were."""
    jwks: str | None = None
    """A JWK Set as JSON text, instead of one at :attr:`jwks_uri`."""
    secret: str | None = Field(default=None, exclude_if=lambda secret: secret is None)
    """A reference to the secret that tokens are authenticated with by HMAC, instead of any public keys."""
    pem: str | None = Field(default=None, exclude_if=lambda pem: pem is None)
    """Public keys in PEM, instead of any others."""
    jwks_file: str | None = Field(default=None, exclude_if=lambda file: file is None)
    """A reference to a file with a JWK Set or public keys in PEM, instead of any others."""
    discovery: bool = Field(default=False, exclude_if=lambda discovery: not discovery)
    """Keys are where the metadata of :attr:`issuer` say (OpenID Connect Discovery 1.0 §4), instead of any others."""
    jwks_cooldown_seconds: float = Field(default=10, gt=0)
    """Shortest time between two fetches that tokens with unknown keys cause."""
    tier_claim: str | None = Field(default=None, exclude_if=lambda claim: claim is None)
    """The claim, or the dotted path to it, that says the caller's tier."""
    refresh: TokenRefresh | None = Field(default=None, exclude_if=lambda refresh: refresh is None)
    """How expired tokens are renewed. Left out of the JSON when they are not: ids of rules stay as they were."""
    introspection: Introspection | None = Field(default=None, exclude_if=lambda asked: asked is None)
    """The issuer is asked about tokens, which need not be JWTs then, instead of any keys. Left out of the JSON when it
    is not: ids of rules stay as they were."""
    allow_insecure_jwks: bool = False
    """Allow a :attr:`jwks_uri` with http that is not loopback, for networks that encrypt by themselves."""


class ApiKeyProvider(Contract):
    """API keys: those that stand in the document as hashes, and those that are made while the gateway runs."""

    kind: Literal["api_key"] = "api_key"
    name: str
    header: str
    """The request header that carries the key, in lower case."""
    keys: dict[str, str]
    """Key id to the SHA-256 of the key, 64 lower-case hex digits."""
    forward_id: str | None
    """The request header that carries the key's id to the backend, in lower case."""
    forward_key: bool = False
    """Whether the backend gets the header with the key too."""
    tiers: dict[str, str] = Field(default_factory=dict, exclude_if=lambda tiers: not tiers)
    """Key id to the tier of who has that key. Left out of the JSON when there is none: ids of rules stay as they were.
    """
    managed: bool = Field(default=False, exclude_if=lambda managed: not managed)
    """Whether keys of :class:`~servicekit.contracts.api_keys.ApiKeys` count too that are for this provider. Left out of
    the JSON when they don't: ids of rules stay as they were."""


Provider = Annotated[JwtProvider | ApiKeyProvider, Field(discriminator="kind")]


class ClaimCondition(Contract):
    """What one claim has to be. Values are compared by type too: ``true``, ``1`` and ``"1"`` are three."""

    path: str = Field(min_length=1)
    """The claim's name, or a dotted path, as in ``realm_access.roles``."""
    operator: Literal["equals", "any_of", "all_of"]
    """``equals`` compares the whole claim; the others the elements of an array, or a single value as the only one."""
    values: tuple[StrictStr | StrictBool | StrictInt, ...] = Field(min_length=1)


class Authorize(Contract):
    """What is asked of a caller who is known. All parts have to agree; an empty one always does."""

    roles: tuple[str, ...] = ()
    """The token has to name one of these."""
    roles_claim: str = "roles"
    """The claim, or the dotted path to it, that holds the roles."""
    claims: tuple[ClaimCondition, ...] = ()
    """All of these have to hold."""
    methods: tuple[str, ...] = ()
    expression: str = Field(default="", exclude_if=lambda text: not text)
    """A condition in CEL, on ``claims``, ``identity`` and ``request``. Left out of the JSON when there is none."""
    client_ips: tuple[str, ...] = ()
    """Address ranges (RFC 4632, RFC 4291 §2.3); the client has to be in one of them."""


class AuthRule(Contract):
    """What one kind of route asks of a request."""

    any_of: tuple[str, ...] = Field(min_length=1)
    """Names of providers; credentials of any one of them are enough, unless :attr:`needs_all`."""
    scopes: tuple[str, ...] = ()
    """All of these the token has to grant (``scope``, RFC 8693 §4.2, or ``scp``), or the API key; those of the document
    grant none."""
    authorize: Authorize | None = Field(default=None, exclude_if=lambda authorize: authorize is None)
    """What else is asked. Left out of the JSON when it is nothing: ids of rules stay as they were."""
    needs_all: bool = Field(default=False, exclude_if=lambda needs: not needs)
    """Whether credentials of all of them are asked. The first says who is calling; scopes and :attr:`authorize` are
    about it. Left out of the JSON when not: ids of rules stay as they were."""
    forward_token: bool | None = Field(default=None, exclude_if=lambda forward: forward is None)
    """Whether the backend gets the token too, whatever its provider says; ``None`` leaves it to the provider."""
    refresh: bool | None = Field(default=None, exclude_if=lambda refresh: refresh is None)
    """``False``: expired tokens are not renewed here, whatever their provider says."""


class AuthRules(Contract):
    """Rules, and the providers that they name."""

    providers: tuple[Provider, ...] = ()
    rules: dict[str, AuthRule] = Field(default_factory=dict)
    """Rule id to rule. An id contains a hash of the rule and of its providers, so that a proxy that
    runs another revision gets the decision of that revision or none."""
    identity_headers: tuple[str, ...] = ()
    """Every header that any provider sets, in lower case: removed from a request unless set by its own check."""


class AuthPolicy(AuthRules):
    """Everything that ext_authz needs to decide."""

    TYPE_URL: ClassVar[str] = "type.googleapis.com/gateway.policy.v1.AuthPolicy"

    others: tuple[AuthRules, ...] = Field(default=(), max_length=MOST_OTHERS, exclude_if=lambda others: not others)
    """What proxies run beside this: a node group that was rolled back, a canary, an Envoy that has not followed yet.
    A rule that is not in this policy is looked for here, the first that has it decides, by its own providers."""
