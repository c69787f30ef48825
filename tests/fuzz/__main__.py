"""Fuzzes one target for a while: ``python -m tests.fuzz TARGET SECONDS``; needs atheris (``make fuzz`` installs it)."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Run libFuzzer on the target, beginning with its seeds; ends with an error when a promise is broken."""
    import atheris

    name, seconds = sys.argv[1], sys.argv[2]
    with atheris.instrument_imports(include=["ext_authz", "servicekit"]):
        from tests.fuzz.targets import TARGETS, seeds
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds()[name]):
            (Path(corpus) / str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", "-max_len=8192", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *options, corpus], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
