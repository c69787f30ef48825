"""Keeps private keys off connections that others can read along."""

from __future__ import annotations

import structlog
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import TlsCertificate
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError

from controlplane.xds import types
from controlplane.xds.snapshot import Resource, Snapshot

_log = structlog.get_logger(__name__)

_PUBLIC = "validation_context"
"""A kind of ``Secret`` that holds none: certificates of authorities."""

_PLACES = frozenset({"certificate_chain", "private_key", "watched_directory"})


class SecretGuard:
    """Takes secrets out of snapshots. It remembers the last one, for all streams aim at it one after the other."""

    def __init__(self) -> None:
        self._given: Snapshot | None = None
        self._answer: Snapshot | None = None

    def without_secrets(self, snapshot: Snapshot | None) -> Snapshot | None:
        """``snapshot`` without the resources that are secret; the same object when there are none."""
        if snapshot is not self._given:
            self._given, self._answer = snapshot, None if snapshot is None else _without_secrets(snapshot)
        return self._answer


def _without_secrets(snapshot: Snapshot) -> Snapshot:
    withheld = [one.name for one in snapshot.of_type(types.SECRET).values() if _is_secret(one)]
    if withheld:
        _log.error("private keys are kept from connections in the clear; use TLS or a Unix socket", secrets=withheld)
    for name in withheld:
        snapshot = snapshot.without_resource(types.SECRET, name)
    return snapshot


def _is_secret(resource: Resource) -> bool:
    try:
        secret = Secret.FromString(Any.FromString(resource.body).value)
    except DecodeError:
        return True  # what can't be read is not known to be harmless
    kind = secret.WhichOneof("type")
    return not (kind == _PUBLIC or (kind == "tls_certificate" and _is_place(secret.tls_certificate)))


def _is_place(certificate: TlsCertificate) -> bool:
    """Whether it says where a key lies, and no more."""
    fields = {field.name for field, _ in certificate.ListFields()}
    return fields <= _PLACES and certificate.private_key.WhichOneof("specifier") == "filename"
