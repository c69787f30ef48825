"""What the tests stand on: ports, processes, real Envoy and Valkey, load, golden files."""
