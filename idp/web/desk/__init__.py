"""The officers' desk: their queue, the evidence, their decisions, and looking accounts up."""
