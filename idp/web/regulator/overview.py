"""What an inspector begins with: finding a case, who is late, the logs' health, and figures."""

from typing import Any

import flask

from consent.data_use import Channel, Outcome
from idp.statistics import health, late, statistics
from idp.supervision import SearchesUsedUpError
from idp.web import context, errors, figures, journey, timeline
from idp.web.language import N_, translate
from idp.web.regulator.entrance import inspecting

blueprint = flask.Blueprint("regulator", __name__)
_NO_CASE = N_("No request has exactly this number.")
CHANNELS = {
    Channel.ID_TOKEN: N_("Sign-in"),
    Channel.USERINFO: N_("Data read"),
    Channel.INTROSPECTION: N_("Sign-in or key checked"),
    Channel.CONNECTOR_PULL: N_("Compared with a register"),
    Channel.CONNECTOR_PUSH: N_("News from a register"),
    Channel.ISSUING: N_("Account issued"),
    Channel.STAFF_VIEW: N_("Officer's look"),
    Channel.REGULATOR_VIEW: N_("Inspector's look"),
    Channel.OPERATOR_VIEW: N_("Operator's look"),
    Channel.EXPORT: N_("Copy for the person"),
    Channel.CASE: N_("Request passed on"),
    Channel.AUDIT_OPENING: N_("Shown to an auditor"),
    Channel.RP_REPORTED: N_("Later use, as the agency reports it"),
    Channel.SEALED: N_("Sealed read"),
}
_REFUSED = N_("refused")


@blueprint.get("/regulator")
def overview() -> flask.Response:
    """Show it."""
    return _page()


@blueprint.post("/regulator/find")
def find() -> flask.Response:
    """Find a case by its exact number; nothing else can be looked for."""
    reference = flask.request.form.get("reference", "")[:32]
    try:
        found = inspecting().find(reference)
    except SearchesUsedUpError as error:
        return _page(errors.message(error.code), errors.words(error.code).status)
    if found is None:
        return _page(translate(_NO_CASE), 404)
    return journey.see_other(f"/regulator/cases/{found.reference}")


def _page(error: str | None = None, status: int = 200) -> flask.Response:
    work, installation = inspecting(), context.installation()
    told = statistics(installation)
    body = flask.render_template(
        "regulator/overview.html",
        section="inspector",
        officer=timeline.officer(work.inspector.id),
        late=[
            {"agency": timeline.agency(client_id), **one._asdict()}
            # Of this moment: whoever has to act does not wait for the public's figures.
            for client_id, one in late(context.services()).items()
        ],
        sealed=figures.sealed(told.sealed, told.months),
        compared=figures.compared(told.reconciled),
        coverage=figures.coverage(told.coverage),
        logs=figures.logs(health(installation, context.services().db)),
        waiting=told.oldest_waiting,
        made_at=told.made_at,
        months=[figures.month(one) for one in told.months],
        rows=[
            {"names": _names(cell), "figures": figures.row(row, told.months)}
            for cell, row in told.by_channel.items()
        ],
        error=error,
        reference=flask.request.form.get("reference", "")[:32],
    )
    return flask.Response(body, status)


def _names(cell: tuple[str, ...]) -> tuple[Any, ...]:
    client_id, channel, outcome = cell
    what = translate(CHANNELS[Channel(channel)])
    if outcome == Outcome.REFUSED.value:
        what = f"{what} ({translate(_REFUSED)})"
    return timeline.agency(client_id), what
