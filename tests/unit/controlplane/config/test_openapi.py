"""Routes from OpenAPI descriptions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.config import ConfigError, load_document
from controlplane.config.openapi import Target, routes_of
from controlplane.resolve import resolve

DESCRIPTION = """\
openapi: 3.1.0
info: {title: Resumes, version: "1"}
servers: [{url: "https://api.example.com/{v}/", variables: {v: {default: v1}}}]
security: [{oauth: [read]}]
components: {securitySchemes: {oauth: {type: oauth2}, key: {type: apiKey}}}
paths:
  /resumes/{id}:
    get: {operationId: getResume}
    delete: {security: [{oauth: [write]}]}
  /resumes/mine: {get: {}, head: {}}
  /health: {get: {security: []}}
  /files/{name}.{ext}: {put: {security: [{key: []}]}}
  x-internal: {get: {}}
"""
PLAIN = Target(upstream="api")
KNOWN = Target(upstream="api", authenticate=("platform",))


def routes(text: str, target: Target = PLAIN) -> list[dict[str, Any]]:
    """What becomes of a description."""
    return routes_of(text.encode(), origin="api.yaml", target=target)


def test_every_operation_has_its_route() -> None:
    """Below the server's path; concrete paths before templated ones; methods that ask for the same together."""
    assert routes(DESCRIPTION) == [
        {"match": {"path_regex": r"/v1/files/[^/]+\.[^/]+", "methods": ["PUT"]}, "upstream": "api"},
        {"match": {"path": "/v1/health", "methods": ["GET"]}, "upstream": "api"},
        {"match": {"path": "/v1/resumes/mine", "methods": ["GET", "HEAD"]}, "upstream": "api"},
        {"match": {"path_regex": "/v1/resumes/[^/]+", "methods": ["GET", "DELETE"]}, "upstream": "api"},
    ]


def test_security_requirements_become_providers_and_scopes() -> None:
    """The operation's own, or those of all; an empty list is open; keys grant no scopes."""
    found = {
        (one["match"].get("path") or one["match"]["path_regex"], *one["match"]["methods"]): one
        for one in routes(DESCRIPTION, KNOWN)
    }
    assert "authenticate" not in found["/v1/health", "GET"]
    assert found["/v1/resumes/mine", "GET", "HEAD"]["scopes"] == ["read"]
    assert found["/v1/resumes/[^/]+", "GET"]["name"] == "getResume"
    assert found["/v1/resumes/[^/]+", "DELETE"]["scopes"] == ["write"]
    put = found[r"/v1/files/[^/]+\.[^/]+", "PUT"]
    assert (put["authenticate"], "scopes" in put) == (["platform"], False)


def test_they_are_routes_of_a_document() -> None:
    """None of them hides another."""
    document = {
        "listeners": [{"name": "http", "port": 8000}],
        "upstreams": [{"name": "api", "endpoints": ["http://127.0.0.1:8048"]}],
        "authentication": {
            "platform": {"jwt": {"issuer": "https://id", "audiences": ["a"], "jwks_uri": "https://id/jwks"}}
        },
        "routes": routes(DESCRIPTION, KNOWN),
    }
    loaded = load_document(json.dumps(document).encode(), origin="gateway.json")
    assert len(resolve(loaded, listen_address="127.0.0.1").routes) == 5


def test_another_prefix() -> None:
    """What is said counts more than the server's URL."""
    (first, *_) = routes(DESCRIPTION, Target(upstream="api", prefix="/public/"))
    assert first["match"]["path_regex"].startswith("/public/files/")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("swagger: '2.0'", "api.yaml:1:10: this is Swagger 2 (convert it to OpenAPI 3 first)"),
        ("openapi: 4.0.0", "api.yaml:1:10: this is no OpenAPI description of version 3.0 or 3.1"),
        ("[]", "api.yaml:1:1: this is no OpenAPI description"),
        ("openapi: 3.0.3", "there are no paths"),
        ("openapi: 3.0.3\npaths:\n  pets: {get: {}}", "api.yaml:3:3: 'pets' is no path: it begins with /"),
        ("openapi: 3.0.3\npaths:\n  /a: 1", "api.yaml:3:7: this is no Path Item Object"),
        ("openapi: 3.0.3\npaths:\n  /a: {$ref: other.yaml}", "a reference to another place"),
        ("openapi: 3.0.3\npaths:\n  /a: {get: 1}", "api.yaml:3:13: this is no Operation Object"),
        ("openapi: 3.0.3\npaths:\n  /a//b: {get: {}}", "no route can stand for /a//b: no request has this path"),
        ("openapi: 3.0.3\npaths:\n  /a: {get: {operationId: 'a b'}}", "this cannot be a route's name"),
        (
            "openapi: 3.0.3\npaths:\n  /a: {get: {security: [{a: [x]}, {b: [y]}]}}\n"
            "components: {securitySchemes: {a: {type: oauth2}, b: {type: oauth2}}}",
            "api.yaml:3:24: a route asks for the same scopes of everybody",
        ),
        ("openapi: 3.0.3\npaths:\n  /a: {get: {security: 1}}", "no list of Security Requirement Objects"),
    ],
)
def test_what_cannot_be_a_route_is_named(text: str, problem: str) -> None:
    """With its place."""
    with pytest.raises(ConfigError) as found:
        routes(text, KNOWN)
    assert problem in str(found.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=10,
)
KEYS = st.sampled_from(["get", "post", "$ref", "security", "operationId", "url", "variables", "oauth", "/a/{b}", "x-y"])
PARTS = st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=3), max_size=4)


@settings(max_examples=200)
@given(
    st.fixed_dictionaries(
        {"openapi": st.just("3.1.0"), "paths": st.dictionaries(st.sampled_from(["/a", "/a/{b}", "c"]), PARTS | VALUES)},
        optional={"servers": VALUES | st.lists(PARTS), "security": VALUES | st.lists(PARTS), "components": PARTS},
    )
)
def test_no_description_is_more_than_a_mistake(description: dict[str, Any]) -> None:
    """Whatever stands where."""
    try:
        found = routes(json.dumps(description), KNOWN)
    except ConfigError:
        return
    assert all(one["upstream"] == "api" for one in found)
