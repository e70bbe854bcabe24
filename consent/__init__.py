"""What a subject lets each relying party see, and the proof of what was seen.

Knows subjects' ids, client ids and attribute names; no pages and no tokens.
"""
