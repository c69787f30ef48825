"""``AuthPolicy``: who may call what, as ext_authz enforces it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from servicekit.contracts.base import Contract

METADATA_NAMESPACE = "envoy.filters.http.ext_authz"
"""Where Envoy puts the dynamic metadata that ext_authz answers with."""

METADATA_USER_ID = "user_id"
"""The caller as its identity provider names it (JWT ``sub``), for the access log."""

METADATA_USER = "user"
"""The caller across all providers, unambiguous: what a limit ``by: user`` counts."""

METADATA_API_KEY = "api_key"
"""The id (never the secret) of the API key: what a limit ``by: api_key`` counts."""

METADATA_PROVIDER = "provider"
"""The document's name of the provider that vouched for the caller."""

RULE_EXTENSION = "rule"
"""The ``context_extensions`` key under which a route names its :class:`AuthRule`."""


class JwtProvider(Contract):
    """Tokens of one issuer (RFC 7519)."""

    kind: Literal["jwt"] = "jwt"
    name: str
    issuer: str
    """Exact value of ``iss``."""
    audiences: tuple[str, ...]
    """``aud`` has to contain one of these."""
    algorithms: tuple[Literal["RS256", "ES256", "EdDSA"], ...]
    """The only ``alg`` values accepted (RFC 8725 §3.1)."""
    jwks_uri: str
    """Where the issuer publishes its keys (RFC 7517 §5)."""
    leeway_seconds: float = Field(ge=0, le=300)
    """Clock difference forgiven for ``exp``, ``nbf`` and ``iat``."""
    jwks_ttl_seconds: float = Field(gt=0)
    """Age at which keys are fetched again."""
    jwks_stale_seconds: float = Field(ge=0)
    """How long keys go on being used after :attr:`jwks_ttl_seconds` while the provider does not answer."""
    forward_claims: dict[str, str]
    """Claim name to the request header that carries it to the backend, in lower case."""


class ApiKeyProvider(Contract):
    """API keys that stand in the document as hashes."""

    kind: Literal["api_key"] = "api_key"
    name: str
    header: str
    """The request header that carries the key, in lower case."""
    keys: dict[str, str]
    """Key id to the SHA-256 of the key, 64 lower-case hex digits."""
    forward_id: str | None
    """The request header that carries the key's id to the backend, in lower case."""


Provider = Annotated[JwtProvider | ApiKeyProvider, Field(discriminator="kind")]


class AuthRule(Contract):
    """What one kind of route asks of a request."""

    any_of: tuple[str, ...] = Field(min_length=1)
    """Names of providers; credentials of any one of them are enough."""


class AuthPolicy(Contract):
    """Everything that ext_authz needs to decide."""

    TYPE_URL: ClassVar[str] = "type.googleapis.com/gateway.policy.v1.AuthPolicy"

    providers: tuple[Provider, ...] = ()
    rules: dict[str, AuthRule] = Field(default_factory=dict)
    """Rule id to rule. An id contains a hash of the rule and of its providers, so that a proxy that
    still runs the previous revision gets the decision of that revision or none."""
    identity_headers: tuple[str, ...] = ()
    """Every header that any provider sets, in lower case: removed from a request unless set by its own check."""
