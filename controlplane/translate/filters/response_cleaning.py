"""What upstreams that are Envoys themselves tell of their inside: removed from what clients get."""

from __future__ import annotations

from envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutation as Mutation
from envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2 import HeaderMutation, Mutations
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from controlplane.translate import names
from controlplane.translate.http_filter import RouteContext
from servicekit.contracts.data_plane import ENVOY_HEADER_PREFIX


class ResponseCleaningFilter:
    """Sees a response last, when the router has heeded what it had to."""

    name = names.RESPONSE_CLEANING_FILTER
    is_optional = False

    def on_connection_manager(self) -> HeaderMutation:
        """Every header with Envoy's prefix, on every route."""
        own = Mutation.RemoveOnMatch(key_matcher=StringMatcher(prefix=ENVOY_HEADER_PREFIX))
        return HeaderMutation(mutations=Mutations(response_mutations=[Mutation(remove_on_match=own)]))

    def on_route(self, context: RouteContext) -> None:
        """The same everywhere."""

    def on_own_route(self) -> None:
        """The same everywhere."""
