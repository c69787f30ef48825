"""What the admin API can be told from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from controlplane.admin.security.identity import Role
from servicekit.address import Address, AddressSetting
from servicekit.settings import PeerSettings

_LOOPBACK = ("http://127.0.0.1:", "http://localhost:", "http://[::1]:")


def _check_private(uri: str) -> str:
    if not uri.startswith(("https://", *_LOOPBACK)):
        raise ValueError("it begins with https://, unless it is on this machine")
    return uri


class AdminSettings(PeerSettings):
    """The settings of the admin API."""

    admin_bind: AddressSetting = Address(host="127.0.0.1", port=8001)
    """Where the admin API, health and the merged metrics are served (HTTP, or HTTPS with ``admin_tls_dir``)."""

    admin_token: SecretStr | None = None
    """The bearer token of the admin API that needs no store; its bearer has the role ``admin``. Without it, and
    without any other way to log in, the API refuses everyone; health and metrics stay open."""

    admin_tls_dir: Path | None = None
    """Folder with ``tls.crt`` and ``tls.key`` for the admin API, read again when they change. With ``ca.crt`` in it,
    clients may log in with a certificate."""

    admin_certificate_roles: dict[str, Role] = Field(default={})
    """Names in client certificates and the role of each, as a JSON object: ``{"*.ops.example": "operator"}``."""

    admin_oidc_issuer: str | None = Field(default=None, min_length=1)
    """The ``iss`` claim of the OpenID Connect tokens that the admin API takes."""

    admin_oidc_audience: str = "gateway-admin"
    """The ``aud`` claim that such a token needs."""

    admin_oidc_jwks_uri: Annotated[str, AfterValidator(_check_private)] | None = None
    """Where that issuer publishes its keys; ``https``, unless it is on this machine."""

    admin_oidc_role_claim: str = Field(default="roles", min_length=1)
    """The claim that says what somebody may do: its name, or the way to it with dots."""

    admin_oidc_roles: dict[str, Role] = Field(
        default={"gateway-viewer": Role.VIEWER, "gateway-operator": Role.OPERATOR, "gateway-admin": Role.ADMIN}
    )
    """Words in that claim and the role that each stands for, as a JSON object."""

    admin_requests_per_second: float = Field(default=50.0, gt=0)
    """Requests that one caller may make in the long run; four times as many at once. An address may make twice that."""

    admin_failed_logins_per_minute: float = Field(default=10.0, gt=0)
    """Attempts to log in that may fail from one address in the long run, and at once."""

    admin_require_if_match: bool = False
    """Refuse changes (428) that do not name the state which they are meant for."""
