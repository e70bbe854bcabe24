"""Measures the ledger of uses against the acceptance list; see ``bench.ledger.__main__``."""
