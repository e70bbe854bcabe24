"""For everybody: how often agencies use data and for what, who is late, and who watches the record."""

import flask

from idp.statistics import health, statistics
from idp.web import context, figures, headers, timeline, transaction

blueprint = flask.Blueprint("transparency", __name__)
_KEPT_SECONDS = 60


@blueprint.get("/transparency")
def transparency() -> str:
    """Show it; the same for everybody, so that it may be kept."""
    headers.allow_keeping(_KEPT_SECONDS)
    installation = context.installation()
    told = statistics(installation)
    transaction.only_read()
    return flask.render_template(
        "protocol/transparency.html",
        made_at=told.made_at,
        months=[figures.month(one) for one in told.months],
        rows=[
            {
                "names": (timeline.agency(client_id), timeline.purpose_title(purpose)),
                "figures": figures.row(row, told.months),
            }
            for (client_id, purpose), row in told.by_purpose.items()
        ],
        late=[
            {
                "agency": timeline.agency(client_id),
                "how_many": figures.small(one.cases + one.withdrawals),
            }
            for client_id, one in told.late.items()
        ],
        sealed=figures.sealed(told.sealed, told.months),
        compared=figures.compared(told.reconciled),
        coverage=figures.coverage(told.coverage),
        logs=figures.logs(health(installation, context.services().db)),
    )
