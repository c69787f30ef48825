"""An xDS management server that knows nothing of the document: snapshots in, discovery responses out."""
