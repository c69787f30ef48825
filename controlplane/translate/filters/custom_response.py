"""Answers that take the place of an upstream's, by status; off unless a route has some."""

from __future__ import annotations

from envoy.config.core.v3.base_pb2 import DataSource, HeaderValue, HeaderValueOption
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.config.route.v3.route_components_pb2 import FilterConfig
from envoy.extensions.filters.http.custom_response.v3.custom_response_pb2 import CustomResponse
from envoy.extensions.http.custom_response.local_response_policy.v3.local_response_policy_pb2 import (
    LocalResponsePolicy,
)
from envoy.type.matcher.v3.status_code_input_pb2 import HttpResponseStatusCodeMatchInput
from google.protobuf.any_pb2 import Any
from xds.core.v3.extension_pb2 import TypedExtensionConfig as MatcherExtension
from xds.type.matcher.v3.matcher_pb2 import Matcher
from xds.type.matcher.v3.regex_pb2 import RegexMatcher
from xds.type.matcher.v3.string_pb2 import StringMatcher

from controlplane import model
from controlplane.translate import names
from controlplane.translate.http_filter import RouteContext
from controlplane.translate.wellknown import packed, uint32

_RE2 = RegexMatcher.GoogleRE2()


class CustomResponseFilter:
    """The first answer whose statuses fit takes the place of the upstream's."""

    name = names.CUSTOM_RESPONSE_FILTER
    is_optional = True

    def on_connection_manager(self) -> CustomResponse:
        """No route uses this."""
        return CustomResponse()

    def on_route(self, context: RouteContext) -> FilterConfig | None:
        """What the route replaces."""
        if not context.route.replacements:
            return None
        matchers = [_matcher(one) for one in context.route.replacements]
        matcher = Matcher(matcher_list=Matcher.MatcherList(matchers=matchers))
        return FilterConfig(config=packed(CustomResponse(custom_response_matcher=matcher)))

    def on_own_route(self) -> None:
        """Envoy's own answers stay."""


def _matcher(replacement: model.Replacement) -> Matcher.MatcherList.FieldMatcher:
    predicate = Matcher.MatcherList.Predicate
    status = _named("status", packed(HttpResponseStatusCodeMatchInput()))
    pattern = "|".join(text.replace("x", "[0-9]") for text in replacement.statuses)
    match = StringMatcher(safe_regex=RegexMatcher(google_re2=_RE2, regex=pattern))
    action = _named("replace", packed(_policy(replacement.answer)))
    return Matcher.MatcherList.FieldMatcher(
        predicate=predicate(single_predicate=predicate.SinglePredicate(input=status, value_match=match)),
        on_match=Matcher.OnMatch(action=action),
    )


def _policy(answer: model.Respond) -> LocalResponsePolicy:
    text = DataSource(inline_string=answer.body.replace("%", "%%"))
    content_type = HeaderValueOption(
        header=HeaderValue(key="content-type", value=answer.content_type),
        append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    return LocalResponsePolicy(
        status_code=uint32(answer.status),
        body_format=SubstitutionFormatString(text_format_source=text, content_type=answer.content_type),
        response_headers_to_add=[content_type],
    )


def _named(name: str, config: Any) -> MatcherExtension:
    return MatcherExtension(name=name, typed_config=config)
