"""From settings to the ways in which somebody can prove who they are."""

from __future__ import annotations

import time

import httpx
import structlog

from controlplane.admin.security.admin_token import AdminToken
from controlplane.admin.security.certificates import CertificateRoles
from controlplane.admin.security.identity import Authenticator, FirstThatKnows
from controlplane.admin.security.issuer_keys import IssuerKeys, http_fetch
from controlplane.admin.security.oidc import Issuer, OidcTokens
from controlplane.admin.security.stored_tokens import StoredTokens
from controlplane.admin.settings import AdminSettings
from controlplane.store.tokens import TokenStore
from servicekit.settings import SettingsError

_log = structlog.get_logger(__name__)


def ways_in(settings: AdminSettings, *, tokens: TokenStore | None, client: httpx.AsyncClient) -> Authenticator:
    """Every way that the settings open, the cheapest first.

    Args:
        settings: what is open.
        tokens: those that were made through the API, when there is a store.
        client: for the keys of the OpenID Connect issuer.

    Raises:
        SettingsError: they contradict each other.
    """
    ways: list[Authenticator] = []
    if settings.admin_token is not None:
        ways.append(AdminToken(settings.admin_token.get_secret_value()))
    if tokens is not None:
        ways.append(StoredTokens(tokens, clock=time.time, timer=time.monotonic))
    if (settings.admin_oidc_issuer is None) != (settings.admin_oidc_jwks_uri is None):
        raise SettingsError("GATEWAY_ADMIN_OIDC_ISSUER and GATEWAY_ADMIN_OIDC_JWKS_URI: one needs the other")
    if settings.admin_oidc_issuer is not None and settings.admin_oidc_jwks_uri is not None:
        issuer = Issuer(
            issuer=settings.admin_oidc_issuer,
            audience=settings.admin_oidc_audience,
            role_claim=settings.admin_oidc_role_claim,
            roles=settings.admin_oidc_roles,
        )
        keys = IssuerKeys(http_fetch(client, settings.admin_oidc_jwks_uri), clock=time.monotonic)
        ways.append(OidcTokens(issuer, keys))
    if settings.admin_certificate_roles:
        ways.append(CertificateRoles(settings.admin_certificate_roles))
    return FirstThatKnows(tuple(ways))


def warn_of_plaintext(settings: AdminSettings) -> None:
    """Say loudly that credentials would cross a network in the clear.

    It is no reason not to start: health and metrics are served at the same address, and they hold no secrets
    (docs/decisions/0004-sockets-and-tls.md).
    """
    if settings.admin_tls_dir is None and not settings.admin_bind.stays_on_machine and not settings.insecure_network:
        _log.warning(
            "the admin API is reachable from other machines without TLS: whoever listens on the way can read tokens",
            bind=str(settings.admin_bind),
            hint="set GATEWAY_ADMIN_TLS_DIR, or GATEWAY_INSECURE_NETWORK=true where the network itself encrypts",
        )
