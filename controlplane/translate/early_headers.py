"""What a client may not say of itself: headers removed before anything reads the request."""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutation
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import header_mutation_pb2
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from controlplane.translate.wellknown import packed
from servicekit.contracts.data_plane import CLAIMED_HEADERS, ENVOY_HEADER_PREFIX, REWRITTEN_HEADERS

_EXTENSION = "envoy.http.early_header_mutation.header_mutation"


def early_header_mutation(identity_headers: Iterable[str], *, trusted_proxies: int) -> TypedExtensionConfig:
    """Remove the identity headers, what only a proxy may claim, and Envoy's own vocabulary.

    What trusted proxies have said of the client's address stays, for Envoy to read.
    """
    claims = {*CLAIMED_HEADERS} - (REWRITTEN_HEADERS if trusted_proxies else set())
    mutations = [HeaderMutation(remove=name) for name in sorted({*identity_headers, *claims})]
    internal = HeaderMutation.RemoveOnMatch(key_matcher=StringMatcher(prefix=ENVOY_HEADER_PREFIX))
    mutations.append(HeaderMutation(remove_on_match=internal))
    config = header_mutation_pb2.HeaderMutation(mutations=mutations)
    return TypedExtensionConfig(name=_EXTENSION, typed_config=packed(config))
