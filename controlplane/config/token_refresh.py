"""``refresh`` of a provider: how expired access tokens in a cookie are renewed."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from controlplane.config.base import Section, mistake
from controlplane.config.durations import Duration
from controlplane.config.secret_references import SecretText
from controlplane.config.token_places import PlaceName
from controlplane.config.urls import SecretsUrl

_PATH = r"^/[!-:<-~]{0,255}$"


def _check_path(path: str) -> str:
    if not re.fullmatch(_PATH, path):
        raise mistake("cookie-path", "this is no path of a cookie", "it begins with a slash, and holds no semicolon")
    return path


class TokenRefresh(Section):
    """How an expired access token is exchanged for another (RFC 6749 §6). Both tokens are in cookies."""

    token_uri: SecretsUrl
    """The issuer's token endpoint. `https`, unless it is on this machine."""
    client_id: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[ -~]+$")]
    """As whom the gateway asks."""
    client_secret: SecretText | None = None
    """The client's secret: `env:GATEWAY_SECRET_NAME` or `file:NAME`. Without it the client is a public one."""
    cookie: PlaceName
    """The cookie with the refresh token. No upstream gets it. The access token's is the one in `token_from`."""
    path: Annotated[str, AfterValidator(_check_path), Field(json_schema_extra={"pattern": _PATH})] = "/"
    """Below which paths browsers send both cookies."""
    same_site: Literal["strict", "lax", "none"] = "lax"
    """Whether browsers send both cookies with requests that other sites cause."""
    secure: bool = True
    """Whether browsers send both cookies over https only. `false` is for trying things on one's own machine."""
    lifetime: Annotated[float, Duration(least=60, most=34_560_000)] | None = None
    """How long browsers keep the refresh token; without it until they are closed. As long as the issuer keeps it."""
