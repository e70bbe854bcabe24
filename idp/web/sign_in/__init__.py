"""The pages of signing in: each does one step and returns to ``/authorize``."""
