"""What relying parties, and the browsers they send, talk to."""
