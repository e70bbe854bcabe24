"""The journey of signing in, from a relying party's request to its answer. Knows no Flask."""
