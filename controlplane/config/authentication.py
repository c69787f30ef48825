"""``authentication``: who vouches for callers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from controlplane.config.base import OneOf, Section, mistake
from controlplane.config.durations import Duration
from controlplane.config.texts import HeaderName, Name, Unique
from controlplane.config.urls import KeysUrl

_HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
_CREDENTIALS = {"authorization", "cookie", "proxy-authenticate", "proxy-authorization"}
_MESSAGE = {"host", "content-length", "content-type", "content-encoding", "expect", "forwarded", "via", "x-request-id"}
_RESERVED = frozenset(_HOP_BY_HOP | _CREDENTIALS | _MESSAGE)  # hop by hop: RFC 9110 §7.6.1
_RESERVED_PREFIXES = ("x-envoy-", "x-forwarded-", "x-gateway-")


def _check_reserved(header: str) -> str:
    if header in _RESERVED or header.startswith(_RESERVED_PREFIXES):
        raise mistake("reserved-header", f"{header} has a meaning of its own", "take another, such as x-user-id")
    return header


def _check_distinct(claims: dict[str, str]) -> dict[str, str]:
    if len(set(claims.values())) < len(claims):
        raise mistake("duplicate", "two claims go into one header")
    return claims


def _check_keys(keys: dict[str, str]) -> dict[str, str]:
    if len({digest.lower() for digest in keys.values()}) < len(keys):
        raise mistake("duplicate", "two ids have the same key")
    return keys


OwnHeader = Annotated[HeaderName, AfterValidator(_check_reserved)]
"""A request header that means nothing to HTTP or to Envoy."""

_DIGEST = r"^sha256:[0-9a-fA-F]{64}$"
_HEX_END = 64 + len("sha256:")


def _check_digest(text: str) -> str:
    digits = text.removeprefix("sha256:")
    if len(text) != _HEX_END or not text.startswith("sha256:") or set(digits) - set("0123456789abcdefABCDEF"):
        hint = "write sha256: and the 64 hex digits that `printf %s KEY | sha256sum` gives"
        raise mistake("key-hash", "this is not the SHA-256 of a key", hint)
    return text


KeyHash = Annotated[str, AfterValidator(_check_digest), Field(json_schema_extra={"pattern": _DIGEST})]


class Jwt(Section):
    """Tokens of one issuer (RFC 7519), sent as `Authorization: Bearer`."""

    issuer: str = Field(min_length=1, max_length=2048)
    """Exact value of the `iss` claim."""
    audiences: Annotated[list[Annotated[str, Field(min_length=1, max_length=2048)]], Unique] = Field(
        min_length=1, max_length=100
    )
    """The `aud` claim has to contain one of these."""
    jwks_uri: KeysUrl
    """Where the issuer publishes its keys (RFC 7517). `https`, unless it is on this machine."""
    algorithms: Annotated[list[Literal["RS256", "ES256", "EdDSA"]], Unique] = Field(
        default=["RS256", "ES256", "EdDSA"], min_length=1
    )
    """The only `alg` values that are accepted (RFC 8725 §3.1)."""
    leeway: Annotated[float, Duration(most=300)] = 30.0
    """Clock difference that is forgiven for `exp`, `nbf` and `iat`."""
    forward_claims: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=256)], OwnHeader], AfterValidator(_check_distinct)
    ] = Field(default={}, max_length=50)
    """Claim to the request header that carries it to the upstream. A client cannot set these headers."""
    jwks_ttl: Annotated[float, Duration(least=1)] = 600.0
    """Age at which keys are fetched again. A token with an unknown key does that too."""
    jwks_stale: Annotated[float, Duration(most=2_592_000)] = 3600.0
    """How much longer known keys are used while the issuer does not answer."""


class ApiKey(Section):
    """API keys, of which the document knows only hashes."""

    header: OwnHeader = "x-api-key"
    """The request header that carries the key."""
    keys: Annotated[dict[Name, KeyHash], AfterValidator(_check_keys)] = Field(min_length=1, max_length=10_000)
    """Id to `sha256:` and the hex digits of the key's SHA-256. Ids stand in logs, keys nowhere."""
    forward_id: OwnHeader | None = None
    """The request header that carries the key's id to the upstream. A client cannot set it."""


class Provider(OneOf):
    """One who vouches for callers: `jwt` or `api_key`."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("jwt", "api_key")

    jwt: Jwt | None = None
    """Tokens of one issuer."""
    api_key: ApiKey | None = None
    """Keys that stand here as hashes."""
