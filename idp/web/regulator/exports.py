"""The daily export: the file and the signed manifest over it."""

from datetime import date

import flask

from idp import supervision
from idp.web import context
from idp.web.regulator.entrance import inspecting

blueprint = flask.Blueprint("regulator_exports", __name__)


@blueprint.get("/regulator/exports")
def exports() -> str:
    """List the days, newest first."""
    inspecting()
    return flask.render_template(
        "regulator/exports.html",
        section="inspector",
        days=[
            {"day": day, "name": supervision.file_name(day), "size": -(-size // 1024)}
            for day, size in supervision.days(context.services().db)
        ],
    )


@blueprint.get("/regulator/exports/<day>/<any(file, manifest):part>")
def export(day: str, part: str) -> flask.Response:
    """Give the file, or the manifest."""
    inspecting()
    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        flask.abort(404)
    found = supervision.find_export(context.services().db, wanted)
    if found is None:
        flask.abort(404)
    if part == "file":
        response = flask.Response(found.file, content_type="application/gzip")
        name = found.name
    else:
        response = flask.Response(found.manifest, content_type="application/jose")
        name = found.manifest_name
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
