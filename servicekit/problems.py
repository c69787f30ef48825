"""RFC 9457 problem documents, as bytes ready to send."""

from __future__ import annotations

import json
from http import HTTPStatus

MEDIA_TYPE = "application/problem+json"


def problem(status: int, code: str, detail: str, **members: object) -> bytes:
    """A problem document.

    Args:
        status: the HTTP status, repeated in the document (RFC 9457 §3.1.2).
        code: a short stable word for machines; it ends the ``type`` URI.
        detail: one sentence for people; never a secret.
        members: extension members (RFC 9457 §3.2).
    """
    document = {
        "type": f"urn:gateway:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **members,
    }
    return json.dumps(document, separators=(",", ":")).encode()
