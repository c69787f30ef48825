"""A gRPC client that finds its server through xDS (``xds:///``), in a process of its own.

Reads one line for each call to make, and writes who answered, or the code of the error. gRPC reads the environment
once, so a process can have one control plane only.
"""

from __future__ import annotations

import sys

import grpc


def main(target: str) -> None:
    """Call ``/echo/who`` of ``target`` for each line of standard input."""
    with grpc.insecure_channel(target) as channel:
        who = channel.unary_unary("/echo/who")
        for _ in sys.stdin:
            try:
                print(who(b"", timeout=5, wait_for_ready=False).decode(), flush=True)
            except grpc.RpcError as error:
                print(error.code().name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
