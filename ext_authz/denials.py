"""Every way to say no: HTTP status, stable code, sentence, and challenge (RFC 6750 §3, RFC 9110 §11.6.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ext_authz.key_book import Shelf
from ext_authz.refusals import Reason, Refused
from ext_authz.rules import KeySource

REALM: Final = "gateway"
BEARER_CHALLENGE: Final = f'Bearer realm="{REALM}"'
API_KEY_CHALLENGE: Final = f'ApiKey realm="{REALM}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """The request may not pass, whatever the route says about failures."""

    status: int
    code: str
    """A word for clients: the end of the problem document's ``type``."""
    reason: str
    """A word for metrics, finer than the code."""
    detail: str
    challenges: tuple[str, ...] = ()
    """Values of ``WWW-Authenticate``."""
    provider: str = ""
    source: KeySource | Shelf | None = None
    """What it came of (keys that refuted a signature, API keys among which this one is not): until that changes, the
    same credentials get the same answer."""
    lasting: bool = False
    """Whether the same credentials get the same answer whatever happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """No answer can be had now. Envoy's failure policy for the route decides; closed, it is a 503."""

    code: str
    reason: str
    detail: str
    provider: str = ""


@lru_cache(maxsize=1024)  # all that it is made of are names of the document and constants
def deny_token(provider: str, refused: Refused, *, source: KeySource | None = None) -> Deny:
    """401 ``invalid_token``."""
    error = f'{BEARER_CHALLENGE}, error="invalid_token", error_description="{refused.description}"'
    return Deny(
        status=401,
        code="invalid_token",
        reason=refused.reason,
        detail=_sentence(refused.description),
        challenges=(error,),
        provider=provider,
        source=source,
        lasting=refused.reason is Reason.EXPIRED,
    )


def deny_scopes(provider: str, scopes: Iterable[str]) -> Deny:
    """403 ``insufficient_scope``, naming what the route asks for."""
    wanted = " ".join(sorted(scopes))
    return Deny(
        status=403,
        code="insufficient_scope",
        reason="insufficient_scope",
        detail=f"This needs the scope: {wanted}.",
        challenges=(f'{BEARER_CHALLENGE}, error="insufficient_scope", scope="{wanted}"',),
        provider=provider,
    )


def deny_forbidden(provider: str, kind: str) -> Deny:
    """403 for a condition that does not hold. ``kind`` is counted; the client hears nothing of what was wanted."""
    return Deny(
        status=403,
        code="forbidden",
        reason=f"forbidden_{kind}",
        detail="The caller may not do this.",
        provider=provider,
    )


MISSING: Final = "missing_credentials"


def deny_missing(*, bearer: bool, api_key: bool) -> Deny:
    """401 for a request that shows no credentials: the challenge has no error code (RFC 6750 §3.1)."""
    challenges = (BEARER_CHALLENGE,) * bearer + (API_KEY_CHALLENGE,) * api_key
    wanted = " or ".join(["a bearer token"] * bearer + ["an API key"] * api_key)
    return Deny(
        status=401,
        code=MISSING,
        reason=MISSING,
        detail=f"This needs {wanted}.",
        challenges=challenges,
    )


def keys_unreachable(provider: str, *, known_issuer_keys: bool) -> Deny | Unavailable:
    """503: the keys can't be had.

    With no keys at all, that is a failure like any other, and the route's failure policy decides. But a token that
    merely names an unknown key while its provider is away stays outside on every route: else whoever invents a
    ``kid`` would profit from an outage.
    """
    if known_issuer_keys:
        return Deny(
            status=503,
            code="keys_unavailable",
            reason="new_key_unavailable",
            detail="The identity provider does not answer, and the token names a key that is not known yet.",
            provider=provider,
        )
    detail = "The keys of the identity provider can't be had at the moment."
    return _unavailable("keys_unavailable", detail, provider)


def introspection_unavailable(provider: str) -> Unavailable:
    """503: the issuer can't be asked about the token."""
    return _unavailable(
        "introspection_unavailable", "The identity provider can't be asked about the token at the moment.", provider
    )


def tokens_unavailable(provider: str) -> Unavailable:
    """503: the issuer can't be asked for another token."""
    return _unavailable(
        "tokens_unavailable", "The identity provider can't renew the access token at the moment.", provider
    )


def revocations_unknown(provider: str) -> Unavailable:
    """503: nobody can say yet whether the token was revoked."""
    return _unavailable(
        "revocations_unavailable", "Whether the token was revoked can't be known at the moment.", provider
    )


def api_keys_unknown(provider: str) -> Unavailable:
    """503: nobody can say yet whether somebody was given this key."""
    detail = "Whether the API key is good can't be known at the moment."
    return _unavailable("api_keys_unavailable", detail, provider)


def deny_api_key(provider: str, *, source: Shelf | None = None) -> Deny:
    """401 for a key that nobody was given, or that is over."""
    return Deny(
        status=401,
        code="invalid_api_key",
        reason="invalid_api_key",
        detail="The API key is not known.",
        challenges=(API_KEY_CHALLENGE,),
        provider=provider,
        source=source,
    )


def _unavailable(code: str, detail: str, provider: str) -> Unavailable:
    return Unavailable(code=code, reason=code, detail=detail, provider=provider)


def _sentence(description: str) -> str:
    return description[:1].upper() + description[1:] + "."


UNKNOWN_KEY: Final = Refused(Reason.UNKNOWN_KEY, "the token names a key that its issuer does not publish")

INACTIVE: Final = Refused(Reason.INACTIVE, "the token is not active")

REVOKED: Final = Refused(Reason.REVOKED, "the token was revoked")

WRONG_ISSUER: Final = deny_token("", Refused(Reason.ISSUER, "the token is from an issuer that is not accepted here"))

INVALID_REQUEST: Final = Deny(
    status=401,
    code="invalid_request",
    reason="invalid_request",
    detail="The Authorization header has to hold exactly one bearer token.",
    challenges=(
        f'{BEARER_CHALLENGE}, error="invalid_request", '
        'error_description="the Authorization header has to hold exactly one bearer token"',
    ),
)

INVALID_TOKEN_PLACE: Final = Deny(
    status=401,
    code="invalid_request",
    reason="invalid_request",
    detail="The request has to show exactly one token, in one place.",
    challenges=(
        f'{BEARER_CHALLENGE}, error="invalid_request", '
        'error_description="the request has to show exactly one token, in one place"',
    ),
)

UNKNOWN_RULE: Final = Deny(
    status=503,
    code="unknown_rule",
    reason="unknown_rule",
    detail="The gateway does not know yet what this route asks for.",
)
