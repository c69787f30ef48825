"""A backend and an identity provider to try the gateway with. For demonstration only: they trust whoever asks."""
