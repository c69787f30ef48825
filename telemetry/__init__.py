"""What the gateway says of itself: Envoy's counters as the gateway's metric families."""
