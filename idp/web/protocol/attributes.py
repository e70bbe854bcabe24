"""The attribute dictionary for everybody to read: what there is to ask for, and on what terms."""

from itertools import groupby
from typing import Any

import flask

from accounts.attributes import CATALOGUE, Attribute, Shape
from accounts.spelling import folded
from idp.web import words
from idp.web.language import N_, translate

blueprint = flask.Blueprint("attributes", __name__)

_SCOPES = {
    "name": N_("Name and account"),
    "birth": N_("Birth"),
    "pid": N_("Personal identification number"),
    "documents": N_("Identity papers"),
    "contact": N_("Contact"),
    "residence": N_("Residence"),
    "family": N_("Family"),
    "origin": N_("Ethnicity and belief"),
    "health": N_("Health"),
    "foreigner": N_("Foreigners"),
    "insurance": N_("Social and health insurance"),
    "civil_service": N_("Officials and civil servants"),
    "organization": N_("Organisations"),
    "profile": N_("What people say of themselves"),
    "": N_("Never given to anybody"),
}
_SHAPES = {
    Shape.TEXT: N_("text"),
    Shape.CODE: N_("code"),
    Shape.DATE: N_("date"),
    Shape.BOOLEAN: N_("yes or no"),
    Shape.NUMBER: N_("number"),
    Shape.LIST: N_("list"),
    Shape.OBJECT: N_("several facts"),
    Shape.ADDRESS: N_("address"),
    Shape.IMAGE: N_("image"),
}


@blueprint.get("/attributes")
def dictionary() -> str:
    """Show it, or what of it fits the words looked for, written with or without marks."""
    looked_for = flask.request.args.get("q", "")[:100]
    order = list(_SCOPES)
    rows = sorted(
        (row for row in CATALOGUE if _fits(row, looked_for)),
        key=lambda row: order.index(row.scope),
    )
    return flask.render_template(
        "protocol/attributes.html",
        looked_for=looked_for,
        scopes=[
            {
                "scope": scope,
                "title": translate(_SCOPES[scope]),
                "attributes": [_shown(row) for row in group],
            }
            for scope, group in groupby(rows, key=lambda row: row.scope)
        ],
    )


def _fits(row: Attribute, looked_for: str) -> bool:
    text = folded(" ".join((row.claim, row.scope, *row.label.values())))
    return all(word in text for word in folded(looked_for).split())


def _shown(row: Attribute) -> dict[str, Any]:
    return {
        "claim": row.claim,
        "label": row.label[flask.g.language],
        "shape": translate(_SHAPES[row.shape]),
        "sources": [translate(words.SOURCES[source]) for source in row.sources],
        "account_level": row.account_level.value,
        "authentication_level": int(row.authentication_level),
        "sensitive": row.sensitive,
        "by_name": row.by_name,
        "law_listed": row.law_listed,
        "third_persons": row.third_persons,
        "is_derived": row.derived_from is not None,
        "is_released": row.released,
    }
