"""The registers that identities and attributes come from, and the one way out to the network."""
