"""Who is calling, and may they: an Envoy external authorization service."""
