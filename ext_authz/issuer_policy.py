"""What a policy says of asking issuers, ready for requests; or why it can't be."""

from __future__ import annotations

import re
from typing import Final

from ext_authz.errors import PolicyError
from ext_authz.introspection import Introspection
from ext_authz.issuer_client import IssuerEndpoint
from ext_authz.key_uri import unsafe
from ext_authz.rules import Refresh
from ext_authz.set_cookie import fits
from servicekit.contracts import JwtProvider, TokenPlace
from servicekit.secret_reference import SecretReferenceError, Secrets

_PATH: Final = re.compile(r"/[!-:<-~]{0,255}")


def compile_refresh(provider: JwtProvider, secrets: Secrets) -> Refresh | None:
    """How tokens of ``provider`` are renewed; ``None`` where they are not.

    Raises:
        PolicyError: it can't be done like this.
    """
    written = provider.refresh
    if written is None:
        return None
    if TokenPlace(kind="cookie", name=written.access_cookie) not in provider.token_from:
        raise PolicyError(f"refresh: no token is looked for in the cookie {written.access_cookie!r}")
    if written.refresh_cookie == written.access_cookie or not fits(written.refresh_cookie, ""):
        raise PolicyError("refresh: the refresh token needs a cookie of its own")
    if not _PATH.fullmatch(written.path):
        raise PolicyError("refresh: the path of cookies begins with a slash, and holds no semicolon")
    return Refresh(
        endpoint=_endpoint("refresh", written.token_uri, written.client_id, written.client_secret, secrets),
        access_cookie=written.access_cookie,
        refresh_cookie=written.refresh_cookie,
        path=written.path,
        same_site=written.same_site,
        secure=written.secure,
        lifetime=written.lifetime_seconds,
    )


def compile_introspection(provider: JwtProvider, secrets: Secrets) -> Introspection | None:
    """How the issuer of ``provider`` is asked about tokens; ``None`` where it is not.

    Raises:
        PolicyError: it can't be done like this.
    """
    written = provider.introspection
    if written is None:
        return None
    endpoint = _endpoint("introspection", written.uri, written.client_id, written.client_secret, secrets)
    return Introspection(provider=provider.name, endpoint=endpoint, ttl=written.ttl_seconds)


def _endpoint(what: str, uri: str, client_id: str, secret: str | None, secrets: Secrets) -> IssuerEndpoint:
    if why := unsafe(uri, allow_insecure=False):
        raise PolicyError(f"{what}: the endpoint {why}")
    try:
        resolved = secrets.resolve(secret) if secret is not None else None
    except SecretReferenceError as error:
        raise PolicyError(f"{what}: client_secret: {error}") from None
    return IssuerEndpoint(uri=uri, client_id=client_id, client_secret=resolved)
