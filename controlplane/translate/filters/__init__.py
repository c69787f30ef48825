"""One module per HTTP filter. They know nothing of each other; their order is in ``filter_order``."""
