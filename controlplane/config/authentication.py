"""``authentication``: who vouches for callers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from controlplane.config.base import OneOf, Section, mistake
from controlplane.config.introspection import Introspection
from controlplane.config.own_headers import OwnHeader
from controlplane.config.texts import Name, TierName
from controlplane.config.tokens import Jwt


def _check_keys(keys: dict[str, str]) -> dict[str, str]:
    if len({digest.lower() for digest in keys.values()}) < len(keys):
        raise mistake("duplicate", "two ids have the same key")
    return keys


_DIGEST = r"^sha256:[0-9a-fA-F]{64}$"
_HEX_END = 64 + len("sha256:")


def _check_digest(text: str) -> str:
    digits = text.removeprefix("sha256:")
    if len(text) != _HEX_END or not text.startswith("sha256:") or set(digits) - set("0123456789abcdefABCDEF"):
        hint = "write sha256: and the 64 hex digits that `printf %s KEY | sha256sum` gives"
        raise mistake("key-hash", "this is not the SHA-256 of a key", hint)
    return text


KeyHash = Annotated[str, AfterValidator(_check_digest), Field(json_schema_extra={"pattern": _DIGEST})]


class ApiKey(Section):
    """API keys: of those that stand here only hashes are known; others are made while the gateway runs."""

    header: OwnHeader = "x-api-key"
    """The request header that carries the key."""
    keys: Annotated[dict[Name, KeyHash], AfterValidator(_check_keys)] = Field(default={}, max_length=10_000)
    """Id to `sha256:` and the hex digits of the key's SHA-256. Ids stand in logs, keys nowhere. At least one, unless
    the keys are `managed`."""
    tiers: dict[Name, TierName] = Field(default={}, max_length=10_000)
    """Id of one of the `keys` to its tier, for limits with `tiers`. Managed keys are made with theirs."""
    managed: bool = False
    """Whether keys count too that `gateway keys create` or the admin API makes for this provider. Needs
    `GATEWAY_API_KEY_SECRET`."""
    forward_id: OwnHeader | None = None
    """The request header that carries the key's id to the upstream. A client cannot set it."""

    @model_validator(mode="after")
    def _check_any(self) -> Self:
        if not self.keys and not self.managed:
            raise mistake("no-keys", "nobody can have a key", "write keys, or managed: true")
        return self

    @model_validator(mode="after")
    def _check_tiers(self) -> Self:
        for key_id in self.tiers:
            if key_id not in self.keys:
                wrong = mistake("dangling", "no key has this id", "take an id that stands in keys")
                raise ValidationError.from_exception_data(
                    "tiers", [InitErrorDetails(type=wrong, loc=("tiers", key_id), input=None)]
                )
        return self


class Provider(OneOf):
    """One who vouches for callers: `jwt`, `introspection` or `api_key`."""

    ONE_OF: ClassVar[tuple[str, ...]] = ("jwt", "introspection", "api_key")

    jwt: Jwt | None = None
    """Tokens of one issuer."""
    introspection: Introspection | None = None
    """Tokens that only their issuer can read."""
    api_key: ApiKey | None = None
    """Keys that stand here as hashes, or are made while the gateway runs."""
