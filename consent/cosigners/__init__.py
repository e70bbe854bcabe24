"""The programs of those who watch the published logs: witnesses and map auditors.

They are run by others than the provider, each with a key and a memory of its own, and share nothing
with it but the format (``consent.ledger``).
"""
