"""How much is too much: an Envoy rate-limit service with token buckets in Redis."""
