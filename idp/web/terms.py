"""What is agreed to apart from the data themselves, in words: who asks, what for, by what right, how long."""

from datetime import datetime
from typing import Any

import flask

from consent.decisions import Terms
from consent.purposes import LEGAL_BASES, purpose
from idp.oidc.relying_parties import HOME
from idp.web import context, timeline
from idp.web.language import show_country


def shown(
    client_id: str,
    *,
    purpose_code: str,
    legal_basis: str,
    terms: Terms | None,
    offline: bool,
    until: datetime,
) -> dict[str, Any]:
    """Return what ``_terms.html`` shows."""
    reason, basis = purpose(purpose_code), LEGAL_BASES[legal_basis]
    language, stated = flask.g.language, terms or Terms()
    return {
        "agency": timeline.agency(client_id),
        "country": _country(client_id),
        "purpose": {"title": reason.title[language], "details": reason.details[language]},
        "legal_basis": {"title": basis.title[language], "law": basis.law[language]},
        "offline": offline,
        "until": until,
        "case_reference": stated.case_reference,
        "retention_days": stated.retention_days,
        "recipients": [_with_country(one) for one in stated.recipients],
    }


def _country(client_id: str) -> str:
    """Return the country's name where it is another one."""
    services = context.services()
    found = services.installation.relying_parties.find_any(client_id, services.db)
    return "" if found is None or found.country == HOME else show_country(found.country)


def _with_country(client_id: str) -> str:
    name, country = timeline.agency(client_id), _country(client_id)
    return f"{name} ({country})" if country else name
