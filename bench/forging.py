"""What somebody with the database in hands can do to an entry: for drills and tests."""

from typing import Any

from sqlalchemy import Connection, insert, select, update

from consent.data_use import data_use
from consent.use_terms import id_of, use_terms


def forge(db: Connection, subject_id: str, number: int, /, **values: Any) -> None:
    """Change columns of the entry with this position; what it shares with others is changed for it alone."""
    where = (data_use.c.subject_id == subject_id, data_use.c.position == number)
    own = {name: value for name, value in values.items() if name in data_use.c}
    if shared := {name: value for name, value in values.items() if name not in own}:
        query = select(use_terms).join(data_use, data_use.c.terms == use_terms.c.id).where(*where)
        terms = {**db.execute(query).one()._asdict(), **shared}
        own["terms"] = terms["id"] = id_of(terms)
        known = select(use_terms.c.id).where(use_terms.c.id == terms["id"])
        if db.execute(known).first() is None:
            db.execute(insert(use_terms).values(terms))
    db.execute(update(data_use).where(*where).values(**own))
