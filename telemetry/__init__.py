"""What the gateway says of itself: Envoy's counters as the gateway's metric families.

``exposition`` reads and writes the Prometheus text format, ``families`` turns Envoy's samples into ours (both pure);
``envoy_stats`` fetches, ``app`` wires.
"""
