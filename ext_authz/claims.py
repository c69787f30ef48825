"""The registered claims of a token (RFC 7519 §4.1) against what a policy asks of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ext_authz.refusals import Reason, Refused

if TYPE_CHECKING:
    from ext_authz.jwt import JwtPolicy

MAX_DATE: Final = 2**53
"""Beyond it a double no longer counts seconds."""


def check_claims(claims: Mapping[str, Any], policy: JwtPolicy, now: float) -> Refused | None:
    """Why these claims are refused at ``now`` (seconds since the epoch), or ``None``."""
    return _check_shape(claims, policy) or _check_parties(claims, policy) or _check_times(claims, policy, now)


def _check_shape(claims: Mapping[str, Any], policy: JwtPolicy) -> Refused | None:
    for name in policy.required_claims:
        if claims.get(name) in (None, "", []):
            return Refused(Reason.CLAIMS, f"the token has no {name}")
    for name in ("exp", "nbf", "iat"):
        if name in claims and not _is_date(claims[name]):
            return Refused(Reason.CLAIMS, f"{name} is not a date in seconds")
    for name in ("iss", "sub", "jti"):
        if name in claims and type(claims[name]) is not str:
            return Refused(Reason.CLAIMS, f"{name} is not a string")
    return None


def _is_date(value: object) -> bool:
    """A NumericDate (RFC 7519 §2); bounded, so that no arithmetic with it can overflow."""
    return (type(value) is int or type(value) is float) and abs(value) <= MAX_DATE


def _check_parties(claims: Mapping[str, Any], policy: JwtPolicy) -> Refused | None:
    if policy.issuer is not None and claims.get("iss") != policy.issuer:
        return Refused(Reason.ISSUER, "the token is from another issuer")
    audience = claims.get("aud", ())
    named = (audience,) if type(audience) is str else audience
    if type(named) not in (list, tuple) or not all(type(name) is str for name in named):
        return Refused(Reason.CLAIMS, "aud is neither a string nor an array of strings")
    if policy.audiences is not None and policy.audiences.isdisjoint(named):
        return Refused(Reason.AUDIENCE, "the token is for another audience")
    return None


def _check_times(claims: Mapping[str, Any], policy: JwtPolicy, now: float) -> Refused | None:
    expires, not_before, issued = claims.get("exp"), claims.get("nbf"), claims.get("iat")
    if expires is not None and now >= expires + policy.leeway:
        return Refused(Reason.EXPIRED, "the token has expired")
    if not_before is not None and now < not_before - policy.leeway:
        return Refused(Reason.NOT_YET_VALID, "the token is not valid yet")
    if issued is not None and now < issued - policy.leeway:
        return Refused(Reason.NOT_YET_VALID, "the token was issued in the future")
    if policy.max_lifetime is not None and (
        expires is None or issued is None or expires - issued > policy.max_lifetime
    ):
        return Refused(Reason.LIFETIME, "the token lives longer than is allowed here, or does not say how long")
    return None
