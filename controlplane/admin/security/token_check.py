"""Who may use the admin API: holders of the bearer token (RFC 6750)."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from controlplane.admin.errors import ApiError

_bearer = HTTPBearer(auto_error=False, description="The admin token (GATEWAY_ADMIN_TOKEN).")


class TokenCheck:
    """A FastAPI dependency that lets a request pass when it carries the token; only its hash is kept.

    With an empty token nobody passes.
    """

    def __init__(self, token: str) -> None:
        self._digest = hashlib.sha256(token.encode()).digest() if token else b""

    def __call__(self, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
        """Compare in constant time.

        Raises:
            ApiError: 401, there is no token or it is another.
        """
        given = credentials.credentials if credentials is not None else ""
        if not hmac.compare_digest(hashlib.sha256(given.encode()).digest(), self._digest):
            raise ApiError(
                401,
                "unauthorized",
                "The admin API needs the token of GATEWAY_ADMIN_TOKEN as a bearer token.",
                headers={"www-authenticate": 'Bearer error="invalid_token"' if given else "Bearer"},
            )
