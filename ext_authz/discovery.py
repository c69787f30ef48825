"""Where an issuer says that its keys are (OpenID Connect Discovery 1.0 §4). Pure.

The answer is as trusted as a ``jwks_uri`` that stands in the policy: it comes from the issuer itself, over TLS. So it
may name another host, as large providers do; but it may not name this machine for an issuer that is elsewhere, whom
nobody meant to let call what listens here.
"""

from __future__ import annotations

from typing import Final

from ext_authz.errors import KeyFetchError
from ext_authz.jose import strict_object
from ext_authz.key_uri import is_loopback, unsafe

MAX_URI_LENGTH: Final = 2048


def metadata_uri(issuer: str) -> str:
    """Where the metadata of ``issuer`` is (§4.1)."""
    return f"{issuer.removesuffix('/')}/.well-known/openid-configuration"


def published_jwks_uri(document: bytes, issuer: str, *, allow_insecure: bool = False) -> str:
    """The URL of the keys, as the metadata ``document`` of ``issuer`` names it.

    Raises:
        KeyFetchError: it is no metadata (§4.2), is of another issuer (§4.3), or names a URL that is not safe. The text
            does not quote it.
    """
    metadata = strict_object(document)
    if metadata is None:
        raise KeyFetchError("the metadata is not a JSON object (or one with duplicate members)")
    if metadata.get("issuer") != issuer:
        raise KeyFetchError("the metadata is of another issuer")
    uri = metadata.get("jwks_uri")
    if not isinstance(uri, str) or len(uri) > MAX_URI_LENGTH:
        raise KeyFetchError("the metadata names no jwks_uri")
    why = unsafe(uri, allow_insecure=allow_insecure)
    if why is not None:
        raise KeyFetchError(f"jwks_uri of the metadata {why}")
    if is_loopback(uri) and not is_loopback(issuer):
        raise KeyFetchError("jwks_uri of the metadata is on this machine, and the issuer is not")
    return uri
