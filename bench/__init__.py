"""The benchmark of Sen ID: works per CPU second beside a peer's. Start it with `make bench`."""
