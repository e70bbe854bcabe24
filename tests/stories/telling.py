"""On which databases and in which languages a story is told; on SQLite in Vietnamese unless said."""

import pytest

in_both_languages = pytest.mark.parametrize("language", ["vi", "en"])
twice = pytest.mark.parametrize(
    ("site", "language"), [("sqlite", "vi"), ("postgresql", "en")], indirect=["site"]
)
"""Once on each database, once in each language."""
in_every_way = pytest.mark.parametrize(
    ("site", "language"),
    [(kind, language) for kind in ("sqlite", "postgresql") for language in ("vi", "en")],
    indirect=["site"],
)
