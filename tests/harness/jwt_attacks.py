"""What the attacks on tokens begin with: honest keys, an honest policy, and a verdict in one word."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from ext_authz.jwt import verify
from ext_authz.keys import KeySet
from ext_authz.refusals import Reason, Refused
from tests.harness.jose import b64, signing_key
from tests.harness.tokens import NOW, claims, key_set, policy

RSA = signing_key("RS256", "rsa")
EC = signing_key("ES256", "ec")
ED = signing_key("EdDSA", "ed")
KEYS = key_set(RSA, EC, ED)


def judge(token: str | bytes, keys: KeySet = KEYS, **changes: Any) -> Reason | str:
    """The reason of a refusal, or ``accepted``."""
    result = verify(token, keys, policy(**changes), now=NOW)
    return result.reason if isinstance(result, Refused) else "accepted"


def hmac_token(secret: bytes, alg: str = "HS256", **header: Any) -> str:
    """A token that is authenticated with a public key as its secret."""
    signed = f"{b64(json.dumps({'alg': alg, **header}).encode())}.{b64(json.dumps(claims()).encode())}"
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[alg]
    return f"{signed}.{b64(hmac.new(secret, signed.encode(), digest).digest())}"
