"""What a client may not say of itself: headers removed before anything reads the request."""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutation
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import header_mutation_pb2
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from controlplane.translate.wellknown import packed

_EXTENSION = "envoy.http.early_header_mutation.header_mutation"

CLAIMED = (
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
)
"""Where a request came from and what it asked for, as a proxy before us would say it. There is no trusted proxy
before us, so only a client can have sent them; Envoy writes x-forwarded-for anew from the connection."""

PREFIXES = ("x-envoy-", "x-gateway-")
"""Envoy's own vocabulary (it steers retries and time-outs) and ours."""


def early_header_mutation(identity_headers: Iterable[str]) -> TypedExtensionConfig:
    """Remove the identity headers, what clients may not claim, and the internal vocabulary."""
    removed = sorted({*identity_headers, *CLAIMED})
    mutations = [HeaderMutation(remove=name) for name in removed]
    mutations += [
        HeaderMutation(remove_on_match=HeaderMutation.RemoveOnMatch(key_matcher=StringMatcher(prefix=prefix)))
        for prefix in PREFIXES
    ]
    config = header_mutation_pb2.HeaderMutation(mutations=mutations)
    return TypedExtensionConfig(name=_EXTENSION, typed_config=packed(config))
