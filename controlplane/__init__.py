"""Config in, xDS out: pure inside (config, resolve, translate, xds), I/O at the edge (sources, servers)."""
