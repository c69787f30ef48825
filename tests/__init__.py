"""Every suite; CONTRIBUTING.md says which one tests what."""
