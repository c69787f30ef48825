"""The token that the process was started with: the first way in, and the one when everything else fails."""

from __future__ import annotations

import hashlib
import hmac

from controlplane.admin.security.identity import Credentials, Identity, Role


class AdminToken:
    """Lets in who carries the token; only its hash is kept. An empty one lets nobody in."""

    def __init__(self, token: str) -> None:
        self._digest = hashlib.sha256(token.encode()).digest() if token else b""

    async def identify(self, credentials: Credentials) -> Identity | None:
        """Compared in constant time."""
        if credentials.bearer is None:
            return None
        given = hashlib.sha256(credentials.bearer.encode()).digest()
        if not hmac.compare_digest(given, self._digest):
            return None
        return Identity(name="admin-token", method="admin-token", role=Role.ADMIN, key="admin-token")
