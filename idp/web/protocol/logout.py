"""The end-session endpoint (OpenID Connect RP-Initiated Logout 1.0) and the page after it."""

from urllib.parse import urlencode

import flask

from idp.oidc.logout import LogoutRequest
from idp.oidc.subject import pairwise_sub
from idp.web import context, errors, forms, headers, journey

blueprint = flask.Blueprint("logout", __name__)


@blueprint.route("/logout", methods=["GET", "POST"])
def logout() -> flask.Response:
    """End the session at once when a genuine hint is about it, else ask the person first (§6)."""
    received = context.wire_request()
    pairs = received.form_pairs() if flask.request.method == "POST" else received.query_pairs()
    parameters = dict(pairs)
    asked = context.installation().logout_reader.read(
        [pair for pair in pairs if pair[0] not in {"csrf_token", "decision"}]
    )
    if "decision" in parameters and flask.request.method == "POST":
        return _decided(asked, parameters["decision"])
    if flask.request.method == "POST":
        # A POST from the relying party's page carries no SameSite=Lax cookie; a GET of ours does.
        return journey.see_other(f"/logout?{urlencode(asked.parameters or {})}")
    if asked.is_forged:
        return errors.page("invalid_request")
    if context.session() is None or _is_about_this_person(asked):
        return _end(asked)
    return _confirm(asked)


@blueprint.get("/signed-out")
def signed_out() -> str:
    """Say that the person is signed out."""
    return flask.render_template("protocol/signed_out.html")


def _decided(asked: LogoutRequest, decision: str) -> flask.Response:
    if not forms.is_ours():
        return errors.page("form-expired")
    if decision != "yes":
        return journey.see_other("/me")
    return _end(asked)


def _end(asked: LogoutRequest) -> flask.Response:
    session = context.session()
    if session is not None:
        context.services().sign_in.sign_out(session)
        context.signed_out()
    return journey.see_other(asked.redirect_to or "/signed-out")


def _is_about_this_person(asked: LogoutRequest) -> bool:
    session = context.session()
    if session is None or asked.sub is None or asked.relying_party is None:
        return False
    vault = context.installation().vault
    return asked.sub == pairwise_sub(vault, asked.relying_party.sector, session.account_id)


def _confirm(asked: LogoutRequest) -> flask.Response:
    relying_party = asked.relying_party if asked.sub is not None else None
    if asked.redirect_to is not None:
        headers.allow_form_target(asked.redirect_to)
    body = flask.render_template(
        "protocol/logout.html",
        relying_party={"name": relying_party.name(flask.g.language)} if relying_party else None,
        fields=asked.parameters or {},
    )
    return flask.Response(body)
