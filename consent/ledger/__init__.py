"""The tamper-evident part: hashes in, proofs out. Knows no consent, no person and no database."""
