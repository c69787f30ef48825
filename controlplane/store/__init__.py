"""The history of documents: numbered revisions in SQLite or PostgreSQL. Knows nothing of what a document means."""

from controlplane.store.database import open_store
from controlplane.store.errors import ConflictError, StoreError
from controlplane.store.revision import LARGEST_NUMBER, Outcome, Revision, RevisionHead, RevisionStore

__all__ = [
    "LARGEST_NUMBER",
    "ConflictError",
    "Outcome",
    "Revision",
    "RevisionHead",
    "RevisionStore",
    "StoreError",
    "open_store",
]
