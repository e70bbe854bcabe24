"""The pages of applying for an account, open to everybody."""
