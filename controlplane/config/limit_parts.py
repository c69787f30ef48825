"""``by`` of a rate limit: what its callers are told apart by."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field

from controlplane.config.base import mistake
from controlplane.config.problems import did_you_mean, quoted
from controlplane.config.texts import Unique

EVERYONE: Final = "everyone"
_MOST_PARTS: Final = 8
_PLAIN: Final = ("user", "api_key", "ip", "tier", "method", "path", "route")
_NAMED: Final = {
    "header": re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}"),  # field-name of RFC 9110 §5.1
    "query": re.compile(r"[A-Za-z0-9._~-]{1,128}"),
    "claim": re.compile(r"[!-~]{1,128}"),
}
_CREDENTIALS: Final = ("authorization", "cookie", "proxy-authorization")
_PATTERN: Final = f"^({'|'.join((*_PLAIN, EVERYONE))}|({'|'.join(_NAMED)}):[!-~]{{1,128}})$"


def _check_part(text: str) -> str:
    kind, colon, name = text.partition(":")
    if text in (*_PLAIN, EVERYONE):
        return text
    if kind not in _NAMED or not colon:
        known = (*_PLAIN, EVERYONE)
        meant = did_you_mean(text, known)
        hint = f"{', '.join(known)}, header:NAME, query:NAME or claim:NAME"
        raise mistake(
            "limit-part", "callers can't be told apart by this", f"did you mean {quoted(meant)}?" if meant else hint
        )
    if not _NAMED[kind].fullmatch(name):
        raise mistake("limit-part", f"this is not the name of a {kind}", f"{kind}:NAME, without blanks")
    if kind == "header":
        name = name.lower()
        if name in _CREDENTIALS:
            raise mistake("limit-part", "names of callers are shown to people, and this is a credential", "by: user")
    return f"{kind}:{name}"


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _check_parts(parts: list[str]) -> list[str]:
    if EVERYONE in parts and len(parts) > 1:
        raise mistake("limit-part", "everyone together is one caller, whatever else is asked", f"remove {EVERYONE}")
    return parts


LimitPart = Annotated[str, AfterValidator(_check_part), Field(json_schema_extra={"pattern": _PATTERN})]
LimitParts = Annotated[
    list[LimitPart],
    Field(min_length=1, max_length=_MOST_PARTS),
    Unique,
    AfterValidator(_check_parts),
    BeforeValidator(_as_list, json_schema_input_type=LimitPart | list[LimitPart]),
]
"""One part, or several that make a caller together."""
