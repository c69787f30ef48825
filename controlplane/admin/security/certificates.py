"""Names in client certificates that TLS has verified, and the roles that they have."""

from __future__ import annotations

import re
from collections.abc import Mapping

from controlplane.admin.security.identity import Credentials, Identity, Role


class CertificateRoles:
    """Gives roles by name; the highest of those that fit.

    Args:
        roles: a name of the certificate (a DNS name, an e-mail address, or a URI such as a SPIFFE id) to its role. In
            a name, ``*`` stands for one or more characters other than a dot and a slash.
    """

    def __init__(self, roles: Mapping[str, Role]) -> None:
        self._roles = [(_pattern(name), role) for name, role in roles.items()]

    async def identify(self, credentials: Credentials) -> Identity | None:
        """Who a certificate is for. One that nobody gave a role is known all the same."""
        if credentials.bearer is not None or not credentials.names:
            return None
        found = [(role, name) for name in credentials.names for fits, role in self._roles if fits.fullmatch(name)]
        order = list(Role)
        role, name = max(found, key=lambda one: order.index(one[0]), default=(None, credentials.names[0]))
        return Identity(name=f"certificate:{name}", method="certificate", role=role, key=f"certificate:{name}")


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile("[^./]+".join(re.escape(part) for part in name.split("*")), re.IGNORECASE)
