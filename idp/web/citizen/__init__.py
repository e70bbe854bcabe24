"""A person's own pages: her data, who used it, and her ways to sign in."""
