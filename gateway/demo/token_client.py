"""Asks the demo identity provider for a token. For demonstration only."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping

from gateway.errors import CommandError

_TIMEOUT = 5.0


def fetch_token(url: str, *, sub: str, expires_in: float, claims: Mapping[str, object]) -> str:
    """A token from the provider at ``url``.

    Args:
        url: the provider, as in ``http://127.0.0.1:8049``.
        sub: whom it is for.
        expires_in: seconds; negative for one that has expired already.
        claims: more claims.

    Raises:
        CommandError: the provider does not answer, or refuses.
    """
    body = json.dumps({"sub": sub, "expires_in": expires_in, "claims": claims}).encode()
    request = urllib.request.Request(f"{url}/token", data=body, headers={"content-type": "application/json"})  # noqa: S310  http:// is in the setting's form
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT) as answer:
            return str(json.load(answer)["access_token"])
    except urllib.error.HTTPError as error:
        with error:
            raise CommandError(f"the identity provider at {url} refuses: {_detail(error.read())}") from error
    except (OSError, ValueError, KeyError) as error:
        raise CommandError(f"no identity provider answers at {url}: is `gateway up --demo` running?") from error


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return "it does not say why"
