"""One case as an inspector sees it: what was asked, each step with its day, and the use it is about.

Whose case it is does not show. Opening it is a use entry that the person reads.
"""

import flask

from idp.supervision import SearchesUsedUpError
from idp.web import case_words, context, errors, timeline
from idp.web.regulator.entrance import inspecting

blueprint = flask.Blueprint("regulator_cases", __name__)


@blueprint.get("/regulator/cases/<reference>")
def one(reference: str) -> flask.Response | str:
    """Show the case with this number."""
    work = inspecting()
    try:
        found = work.find(reference)
    except SearchesUsedUpError as error:
        return errors.page(error.code)
    if found is None:
        flask.abort(404)
    work.look(found)
    entry = context.services().history(found.subject_id).entry(found.position)
    use = timeline.one(entry) if entry else None
    shown = ("agency", "time", "attributes", "purpose", "basis", "law", "refused")
    return flask.render_template(
        "regulator/case.html",
        section="inspector",
        case=case_words.told(found),
        use={name: use[name] for name in shown} if use else None,
    )
