"""Which command performs which operation of the admin API. A test holds this to the API's own description."""

from __future__ import annotations

_SECTIONS = ("listeners", "upstreams", "routes", "authentication", "rate-limits", "node-groups")

COMMANDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("GET", "/status"): ("status",),
    ("GET", "/whoami"): ("whoami",),
    ("POST", "/validate"): ("validate", "--remote", "DOCUMENT"),
    ("POST", "/plan"): ("plan", "DOCUMENT"),
    ("GET", "/document"): ("show",),
    ("PUT", "/document"): ("apply", "DOCUMENT"),
    ("GET", "/revisions"): ("log",),
    ("GET", "/revisions/{number}"): ("show", "1"),
    ("GET", "/revisions/{number}/diff"): ("diff", "1", "2"),
    ("POST", "/revisions/{number}/rollback"): ("rollback", "1"),
    ("GET", "/rollout"): ("rollout",),
    ("POST", "/rollout/promote"): ("rollout", "promote"),
    ("POST", "/rollout/abort"): ("rollout", "abort"),
    ("GET", "/nodes"): ("nodes",),
    ("GET", "/nodes/{id}"): ("nodes", "show", "envoy-1"),
    ("GET", "/auth/keys"): ("auth", "keys"),
    ("GET", "/discovery"): ("discovery",),
    ("GET", "/discovery/{name}"): ("discovery", "show", "orders"),
    ("GET", "/events"): ("events",),
    ("GET", "/tokens"): ("tokens", "list"),
    ("POST", "/tokens"): ("tokens", "create", "ci", "--role", "viewer"),
    ("DELETE", "/tokens/{id}"): ("tokens", "revoke", "abc"),
    ("GET", "/api-keys"): ("keys", "list"),
    ("POST", "/api-keys"): ("keys", "create", "partners", "--owner", "acme"),
    ("GET", "/api-keys/{id}"): ("keys", "show", "abc"),
    ("PATCH", "/api-keys/{id}"): ("keys", "set", "abc", "--tier", "gold"),
    ("POST", "/api-keys/{id}/rotate"): ("keys", "rotate", "abc"),
    ("DELETE", "/api-keys/{id}"): ("keys", "revoke", "abc"),
    ("GET", "/limits"): ("limits", "list"),
    ("GET", "/limits/{name}"): ("limits", "show", "per-user"),
    ("GET", "/limits/{name}/caller"): ("limits", "show", "per-user", "a:b"),
    ("GET", "/limits/{name}/top"): ("limits", "top", "per-user"),
    ("POST", "/limits/{name}/reset"): ("limits", "reset", "per-user", "a:b"),
    ("GET", "/limits/{name}/overrides"): ("limits", "override", "list", "per-user"),
    ("POST", "/limits/{name}/overrides"): ("limits", "override", "create", "per-user", "a:b", "--requests", "9"),
    ("GET", "/limits/{name}/overrides/{id}"): ("limits", "override", "show", "per-user", "abc"),
    ("PATCH", "/limits/{name}/overrides/{id}"): ("limits", "override", "set", "per-user", "abc", "--denied"),
    ("DELETE", "/limits/{name}/overrides/{id}"): ("limits", "override", "delete", "per-user", "abc"),
    ("POST", "/cache/purge"): ("cache", "purge", "--route", "rest"),
    ("GET", "/revocations"): ("revocations", "list"),
    ("POST", "/revocations"): ("revocations", "add", "platform", "--jti", "abc"),
    ("DELETE", "/revocations/{id}"): ("revocations", "remove", "abc"),
    ("GET", "/audit"): ("audit", "log"),
    ("GET", "/audit/verify"): ("audit", "verify"),
    ("GET", "/export"): ("export",),
    ("POST", "/import"): ("import", "DOCUMENT"),
} | {
    (method, f"/{section.replace('-', '_')}{name}"): words
    for section in _SECTIONS
    for method, name, words in (
        ("GET", "", ("get", section)),
        ("GET", "/{name}", ("get", section, "a/b")),
        ("PUT", "/{name}", ("put", section, "a/b", "-f", "DOCUMENT")),
        ("PATCH", "/{name}", ("patch", section, "a/b", "-f", "DOCUMENT")),
        ("DELETE", "/{name}", ("delete", section, "a/b")),
    )
}
"""The command that performs each operation."""
