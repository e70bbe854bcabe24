"""Every URL, and the only importer of Flask besides ``idp.app``. The site map is below."""

import flask

from idp.web import operations
from idp.web.apply import apply, chip, follow
from idp.web.citizen import applications as citizen_applications
from idp.web.citizen import (
    cases,
    consents,
    details,
    download,
    incidents,
    leaving,
    lock,
    notice_choices,
    notices,
    passkeys,
    proof,
    recovery,
    second_factors,
    sessions,
    uses,
)
from idp.web.citizen import home as citizen_home
from idp.web.citizen import mandates as citizen_mandates
from idp.web.desk import accounts as desk_accounts
from idp.web.desk import applications as desk_applications
from idp.web.desk import cases as desk_cases
from idp.web.desk import contacts as desk_contacts
from idp.web.desk import incidents as desk_incidents
from idp.web.desk import queue as desk_queue
from idp.web.desk import recovery as desk_recovery
from idp.web.phone import approval, enrolment, invitation
from idp.web.phone import home as phone_home
from idp.web.protocol import (
    agency,
    attributes,
    audits,
    authorize,
    discovery,
    ledger,
    logout,
    receipts,
    tokens,
    transparency,
    use_reports,
    verifying,
)
from idp.web.protocol import cases as agency_cases
from idp.web.regulator import cases as regulator_cases
from idp.web.regulator import exports as regulator_exports
from idp.web.regulator import overview
from idp.web.sign_in import (
    acting_for,
    activation,
    consent,
    front,
    not_me,
    passkey,
    password,
    qr,
    recover,
    second_factor,
    steps,
)
from idp.web.sign_in import lock as own_lock


def register(app: flask.Flask) -> None:
    """Register every blueprint."""
    for blueprint in (
        # For relying parties, and the browsers they send.
        authorize.blueprint,
        tokens.blueprint,
        discovery.blueprint,
        attributes.blueprint,
        agency.blueprint,
        agency_cases.blueprint,
        receipts.blueprint,
        use_reports.blueprint,
        logout.blueprint,
        # For everybody who checks the logs.
        audits.blueprint,
        ledger.blueprint,
        verifying.blueprint,
        transparency.blueprint,
        # For a person who signs in.
        front.blueprint,
        password.blueprint,
        second_factor.blueprint,
        steps.blueprint,
        passkey.blueprint,
        qr.blueprint,
        activation.blueprint,
        not_me.blueprint,
        own_lock.blueprint,
        recover.blueprint,
        acting_for.blueprint,
        consent.blueprint,
        # For a person who applies for an account.
        apply.blueprint,
        follow.blueprint,
        chip.blueprint,
        # A person's own pages.
        citizen_home.blueprint,
        uses.blueprint,
        consents.blueprint,
        cases.blueprint,
        passkeys.blueprint,
        second_factors.blueprint,
        recovery.blueprint,
        sessions.blueprint,
        details.blueprint,
        download.blueprint,
        proof.blueprint,
        notices.blueprint,
        notice_choices.blueprint,
        leaving.blueprint,
        incidents.blueprint,
        lock.blueprint,
        citizen_applications.blueprint,
        citizen_mandates.blueprint,
        # The app on her phone.
        phone_home.blueprint,
        enrolment.blueprint,
        invitation.blueprint,
        approval.blueprint,
        # For officers.
        desk_queue.blueprint,
        desk_applications.blueprint,
        desk_accounts.blueprint,
        desk_contacts.blueprint,
        desk_incidents.blueprint,
        desk_cases.blueprint,
        desk_recovery.blueprint,
        # For inspectors of the data-protection authority.
        overview.blueprint,
        regulator_cases.blueprint,
        regulator_exports.blueprint,
        # For operators.
        operations.blueprint,
    ):
        app.register_blueprint(blueprint)
