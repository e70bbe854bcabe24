"""The chip of an identity card: its files, who signed them, and the proof that it is no copy.

ICAO Doc 9303 parts 10 (logical data structure), 11 (security mechanisms) and 12 (public keys). Nothing
here stores or asks anything: bytes come in, facts or a refusal come out.
"""
