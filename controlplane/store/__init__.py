"""What is kept: revisions, audit log, tokens, nodes; in SQLite or PostgreSQL. Knows no document's meaning."""

from controlplane.store.database import open_store
from controlplane.store.errors import ConflictError, StoreError, TransferError
from controlplane.store.revision import LARGEST_NUMBER, Outcome, Revision, RevisionHead, RevisionStore
from controlplane.store.store import Store

__all__ = [
    "LARGEST_NUMBER",
    "ConflictError",
    "Outcome",
    "Revision",
    "RevisionHead",
    "RevisionStore",
    "Store",
    "StoreError",
    "TransferError",
    "open_store",
]
