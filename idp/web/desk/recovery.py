"""A person at the desk who lost her ways to sign in: a code for new ones, a new code
card, or a code to set a phone up.
"""

import flask

from accounts.account import EventKind
from accounts.notices import NoticeKind
from accounts.second_factors import new_card_codes, spaced
from idp import audit
from idp.applying.rules import ReasonMissingError
from idp.web import context, errors, person, transaction
from idp.web.desk.entrance import desk
from idp.web.drawing import qr_code

blueprint = flask.Blueprint("desk_recovery", __name__)


@blueprint.post("/desk/accounts/<account_id>/recover")
def recover(account_id: str) -> flask.Response | str:
    """Give a code, on the evidence that the officer wrote down."""
    at = desk()
    try:
        actor, ground = at.evidence_of(person.row_id(account_id), _evidence())
    except ReasonMissingError as error:
        return errors.page(error.code)
    code = context.services().recovering.begin_by_office(account_id, actor, ground)
    return flask.render_template(
        "desk/recovery_code.html", section="desk", account_id=account_id, code=code
    )


@blueprint.post("/desk/accounts/<account_id>/card")
def card(account_id: str) -> flask.Response | str:
    """Print a new code card; only the codes' hashes are kept, and the card before is void."""
    at = desk()
    try:
        actor, ground = at.evidence_of(person.row_id(account_id), _evidence())
    except ReasonMissingError as error:
        return errors.page(error.code)
    installation = context.installation()
    codes = new_card_codes(installation.chance)
    transaction.release()
    hashes = [installation.hashing.hash_unchecked(code) for code in codes]
    services = context.services()
    services.second_factors.make_card(account_id, hashes)
    services.accounts.note(account_id, EventKind.CARD_GIVEN, None, actor, ground)
    subject_id = services.accounts.account(account_id).subject_id
    services.contact_book.tell(subject_id, NoticeKind.SIGN_IN_CHANGED, {"what": "card-made"})
    return flask.render_template(
        "citizen/code_card.html",
        section="desk",
        back=f"/desk/accounts/{account_id}",
        codes=[spaced(code) for code in codes],
        made_at=installation.clock(),
    )


@blueprint.post("/desk/accounts/<account_id>/phone")
def phone(account_id: str) -> flask.Response | str:
    """Give a code to set a phone up with, on the evidence that the officer wrote down."""
    at = desk()
    try:
        actor, ground = at.evidence_of(person.row_id(account_id), _evidence())
    except ReasonMissingError as error:
        return errors.page(error.code)
    installation, services = context.installation(), context.services()
    found = services.accounts.account(account_id)
    if not found.is_open:
        return errors.page("application-not-ready")
    code = services.phone_invitations.by_office(account_id)
    services.accounts.note(account_id, EventKind.PHONE_CODE_GIVEN, None, actor, ground)
    facts = {"what": "phone-code-given"}
    services.contact_book.tell_everywhere(found.subject_id, NoticeKind.SIGN_IN_CHANGED, facts)
    audit.security_event("phone-code.given", account=account_id)
    # Behind the sign #, which browsers never send: the code stands in no log.
    address = f"{installation.settings.issuer}/app/code"
    return flask.render_template(
        "desk/phone_code.html",
        section="desk",
        account_id=account_id,
        address=address,
        code=code,
        picture=qr_code(f"{address}#{code}"),
    )


def _evidence() -> str:
    return flask.request.form.get("ground", "")
