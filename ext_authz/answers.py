"""Decisions as Envoy's ``CheckResponse``, in bytes: the only module that knows its protobuf."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse, DeniedHttpResponse, OkHttpResponse
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.rpc.code_pb2 import OK, PERMISSION_DENIED, UNAUTHENTICATED, UNAVAILABLE
from google.rpc.status_pb2 import Status

from ext_authz.decision import Allow
from ext_authz.denials import Deny, Unavailable
from servicekit.contracts.auth_policy import (
    METADATA_API_KEY,
    METADATA_PROVIDER,
    METADATA_SCOPES,
    METADATA_TIER,
    METADATA_USER,
    METADATA_USER_ID,
)
from servicekit.problems import MEDIA_TYPE, problem

_NO_COOKIES: Final = OkHttpResponse(headers_to_remove=["cookie"])
_GRPC_CODE: Final = {401: UNAUTHENTICATED, 403: PERMISSION_DENIED, 503: UNAVAILABLE}


def encode(decision: Allow | Deny | Unavailable) -> bytes:
    """The ``CheckResponse`` for Envoy.

    ``Deny`` is a ``denied_response``: it stands on every route. ``Unavailable`` is an ``error_response``: Envoy lets
    the route's failure policy decide, and sends this 503 where that says closed.
    """
    return _encode_allow(decision) if isinstance(decision, Allow) else _encode_no(decision)


def replace_cookies(encoded: bytes, cookies: str) -> bytes:
    """An encoded yes, and ``cookies`` for the request's own (none at all when it is empty).

    Messages in bytes are merged by putting one behind the other, so that a cached answer is not encoded again.
    """
    change = OkHttpResponse(headers=[_header("cookie", cookies)]) if cookies else _NO_COOKIES
    return encoded + _bytes(CheckResponse(ok_response=change))


def add_cookies(encoded: bytes, outcome: str, cookies: Sequence[str]) -> bytes:
    """An encoded answer, and ``Set-Cookie`` headers for the client; ``outcome`` is that of the answer."""
    headers = [_header("set-cookie", cookie, append=True) for cookie in cookies]
    if outcome == "allow":
        change = CheckResponse(ok_response=OkHttpResponse(response_headers_to_add=headers))
    elif outcome == "deny":
        change = CheckResponse(denied_response=DeniedHttpResponse(headers=headers))
    else:
        change = CheckResponse(error_response=DeniedHttpResponse(headers=headers))
    return encoded + _bytes(change)


def join(encoded: Sequence[bytes]) -> bytes:
    """One yes of several encoded ones. Where they say different things the first has the last word."""
    return b"".join(reversed(encoded))


def _encode_allow(allow: Allow) -> bytes:
    response = CheckResponse(
        status=Status(code=OK),
        ok_response=OkHttpResponse(
            headers=[_header(name, value) for name, value in allow.set_headers.items()],
            headers_to_remove=allow.remove_headers,
            query_parameters_to_remove=allow.remove_parameters,
        ),
    )
    who = allow.identity
    members = (
        (METADATA_PROVIDER, who.provider),
        (METADATA_USER, who.user),
        (METADATA_USER_ID, who.user_id),
        (METADATA_API_KEY, who.api_key),
        (METADATA_TIER, who.tier),
        (METADATA_SCOPES, who.scopes),
    )
    response.dynamic_metadata.update({name: value for name, value in members if value})
    return _bytes(response)


@lru_cache(maxsize=1024)  # every no is made of constants and names of the document
def _encode_no(decision: Deny | Unavailable) -> bytes:
    status = decision.status if isinstance(decision, Deny) else 503
    challenges = decision.challenges if isinstance(decision, Deny) else ()
    reply = DeniedHttpResponse(
        status=HttpStatus(code=status),
        headers=[
            _header("content-type", MEDIA_TYPE),
            *(
                _header("www-authenticate", challenge, append=position > 0)
                for position, challenge in enumerate(challenges)
            ),
        ],
        body=problem(status, decision.code, decision.detail).decode(),
    )
    response = CheckResponse(status=Status(code=_GRPC_CODE[status]))
    if isinstance(decision, Deny):
        response.denied_response.CopyFrom(reply)
    else:
        response.error_response.CopyFrom(reply)
    return _bytes(response)


def _header(name: str, value: str, *, append: bool = False) -> HeaderValueOption:
    action = HeaderValueOption.APPEND_IF_EXISTS_OR_ADD if append else HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    return HeaderValueOption(header=HeaderValue(key=name, value=value), append_action=action)


def _bytes(response: CheckResponse) -> bytes:
    data: bytes = response.SerializeToString()
    return data
