"""The ``gateway`` command.

Exit codes: 0 it worked, 1 there was a problem (standard error says which), 2 it was called wrongly, 3 there are changes
(``plan --exit-code``).
Commands import what they need when they run: a process of one role holds no code of another.
"""

from __future__ import annotations

import sys

_PROBLEMS = frozenset(
    {
        "controlplane.store.errors.StoreError",
        "gateway.binaries.MissingBinaryError",
        "gateway.child.CannotStartError",
        "gateway.errors.CommandError",
        "gateway.supervisor.supervisor.ComponentFailedError",
        "servicekit.http.AddressInUseError",
        "servicekit.settings.SettingsError",
        "servicekit.tasks.TaskEndedError",
    }
)
"""Exceptions whose text is for the operator; by name, for importing their modules is what we avoid."""


def main() -> None:
    """Run the command line."""
    from gateway.cli.commands import build_app

    try:
        build_app(sys.argv[1:])()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if not _is_problem(error):
            raise
        print(f"gateway: {error}", file=sys.stderr)
        sys.exit(1)


def _is_problem(error: Exception) -> bool:
    return any(f"{cls.__module__}.{cls.__qualname__}" in _PROBLEMS for cls in type(error).__mro__)
