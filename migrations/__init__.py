"""The schema's history, applied by ``sen init`` and ``sen serve``."""
