"""The document of most tests of a whole gateway: an open route, and one behind a token of the demo provider."""

from __future__ import annotations

from tests.harness.gateway_up import GatewayUp


def demo_document(
    gateway: GatewayUp,
    *routes: str,
    upstream: str = "",
    limits: str = "",
    of_guarded: str = "",
    identity_header: str = "x-user-id",
) -> str:
    """Text with ``/public`` and ``/api``, and a line for each route at its end, so that more can be appended.

    Args:
        gateway: whose ports it names.
        routes: what stands between the braces of further routes; all go to the same upstream.
        upstream: more of that upstream, beginning with a comma.
        limits: what stands between the braces of ``rate_limits``.
        of_guarded: more of the guarded route, beginning with a comma.
        identity_header: carries the token's subject.
    """
    further = "".join(f"  - {{{route}, upstream: echo}}\n" for route in routes)
    return f"""
listeners: [{{name: http, port: {gateway.port}}}]
upstreams:
  - {{name: echo, endpoints: ["http://127.0.0.1:{gateway.backend_port}"]{upstream}}}
authentication:
  demo:
    jwt:
      issuer: http://127.0.0.1:{gateway.idp_port}
      audiences: [quickstart]
      jwks_uri: http://127.0.0.1:{gateway.idp_port}/.well-known/jwks.json
      forward_claims: {{sub: {identity_header}}}
rate_limits: {{{limits}}}
routes:
  - {{match: {{path_prefix: /public}}, upstream: echo}}
  - {{match: {{path_prefix: /api}}, upstream: echo, authenticate: [demo]{of_guarded}}}
{further}"""
