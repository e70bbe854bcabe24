"""The timeline: every use of the person's data, and of those for whom she may look."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

import flask

from accounts.attributes import DICTIONARY
from consent.data_use import PROVIDER, Channel, Outcome, UseEntry
from consent.history import LOOKS_BACK, LOOKS_BACK_SHORTLY, Agency, Month, Wanted
from consent.purposes import LEGAL_BASES, PURPOSES
from idp import proof
from idp.web import (
    confirmation,
    context,
    copies,
    drawing,
    files,
    person,
    records,
    timeline,
    transaction,
)
from idp.web.language import N_, TIME_ZONE, show_date, translate
from idp.web.records import Record

blueprint = flask.Blueprint("uses", __name__)
_PAGE = 50
_MONTHS = 12
_SHOWN_AGENCIES = 5
_SHOWN_ATTRIBUTES = 12
_OTHERS = N_("Others")
_BARS = N_("Uses per month, by agency. The table below holds the same figures.")
_HEAT = N_("Uses per month of each kind of data. The table below holds the same figures.")
_AGENCY = N_("Agency")
_ATTRIBUTE = N_("Data")
_PURPOSE = N_("Purpose")
_BASIS = N_("Legal basis")
_CHANNEL = N_("What happened")
_OUTCOME = N_("Outcome")
_RELEASED = N_("Data was given")
_REFUSED = N_("Refused")
_FROM, _TO = N_("From"), N_("To")
_HEADS = (
    N_("Number"),
    N_("Time"),
    _AGENCY,
    N_("Agency's identifier"),
    _CHANNEL,
    _OUTCOME,
    _ATTRIBUTE,
    _PURPOSE,
    _BASIS,
    N_("Law"),
    N_("Acting for"),
    N_("Represented by"),
    N_("Office and officer"),
    N_("Consent"),
    N_("Identifier"),
    N_("Altered"),
)


@blueprint.get("/me/uses")
def uses() -> str:
    """Show a page of the timeline, newest first, narrowed by what the address says."""
    session = person.required()
    known = records.readable(session)
    record = records.chosen(known)
    wanted, stated = _wanted()
    place = flask.request.args.get("before", "")
    before = int(place) if re.fullmatch(r"[0-9]{1,9}", place, re.ASCII) else None
    entries = record.history.page(wanted, before=before, limit=_PAGE + 1)
    shown = entries[:_PAGE]
    following = _following(record, shown, is_full=len(entries) > _PAGE)
    query = _query(record, stated)
    base, joint = f"/me/uses{query}", "&" if query else "?"
    return flask.render_template(
        "citizen/uses.html",
        section="uses",
        mark=confirmation.mark() if before is None else None,
        days=timeline.by_day(
            shown,
            of_another=record.is_of_another,
            of=record.of,
            changed={one.position for one, altered in _told_apart(record, shown) if altered},
        ),
        older=f"{base}{joint}before={following}" if following else None,
        now=context.installation().clock(),
        newest=base if before is not None else None,
        for_organisation=record.name,
        for_person=record.is_of_another,
        record=record,
        choices=_choices(record, stated),
        stated=stated,
        copy=f"/me/uses/copy{query}",
        views=[
            {
                "label": one.label,
                "href": f"/me/uses?of={one.of}" if one.of else "/me/uses",
                "current": one is record,
            }
            for one in known
        ],
    )


@blueprint.get("/me/uses/copy")
def ask_copy() -> str:
    """Say what the file holds: the uses that the address narrows to."""
    session = person.required()
    record = records.chosen(records.readable(session))
    _, stated = _wanted()
    return flask.render_template(
        "citizen/uses_copy.html",
        section="uses",
        record=record,
        narrowed=_in_words(record, stated),
        query=_query(record, stated),
    )


@blueprint.post("/me/uses/copy")
def give_copy() -> flask.Response:
    """Note that a copy was made, then make it as a table."""
    session = person.required()
    record = records.chosen(records.readable(session))
    wanted, stated = _wanted()
    here = f"/me/uses/copy{_query(record, stated)}"
    refused = copies.begin(session, here, "uses.downloaded")
    if refused is not None:
        return refused
    proof.note_copy(context.services(), record.subject_id, by=session.subject_id, role=record.role)
    # Committed before anything leaves; reading for seconds keeps no writer waiting.
    transaction.only_read()
    return files.made(
        lambda file: files.write_table(file, _table(record, wanted)),
        "text/csv; charset=utf-8; header=present",
        "sen-id-uses",
        "csv",
    )


@blueprint.get("/me/uses/<int(max=999999999):position>")
def use(position: int) -> str:
    """Show one use with all that is known of it, and what can be done about it."""
    session = person.required()
    record = records.chosen(records.readable(session))
    entry = record.history.entry(position)
    if entry is None:
        flask.abort(404)
    return flask.render_template(
        "citizen/use.html",
        section="uses",
        use=timeline.one(
            entry,
            of_another=record.is_of_another,
            of=record.of,
            changed=any(altered for _, altered in _told_apart(record, [entry])),
        ),
        entry=entry,
        consent=_consent_of(entry, session.subject_id),
        record=record,
        by_provider=entry.use.client_id == PROVIDER,
    )


@blueprint.get("/me/uses/<int(max=999999999):position>/sealed")
def sealed(position: int) -> flask.Response:
    """Give out the entry that a use was sealed as, with its salt: its commitment is in the published
    log, and what it is bound to follows from the opening in the person's own entry.
    """
    session = person.required()
    record = records.chosen(records.readable(session))
    entry = record.history.entry(position)
    services = context.services()
    chain = services.sealing.chain()
    if entry is None or chain is None or "sealed_position" not in entry.use.detail:
        flask.abort(404)
    place = int(entry.use.detail["sealed_position"])
    ((salt, spelling),) = services.use_log.spelled(chain, place, after=place - 1)
    told = {"entry": spelling.decode(), "salt": salt.hex(), "opening": entry.use.detail["opening"]}
    response = flask.jsonify(told)
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/me/months")
def months() -> str:
    """Show the last twelve months as charts, each with its table."""
    session = person.required()
    known = records.readable(session)
    record = records.chosen(known)
    columns = _last_months(context.installation().clock())
    first = datetime(*columns[-1], 1, tzinfo=TIME_ZONE).astimezone(UTC)
    told = record.history.months(first, TIME_ZONE)
    by_agency = _series(
        {timeline.agency(name): counts for name, counts in told.by_agency.items()},
        columns,
        _SHOWN_AGENCIES,
    )
    language = flask.g.language
    by_attribute = _series(
        {
            row.label[language]: told.by_attribute[claim]
            for claim, row in DICTIONARY.items()
            if claim in told.by_attribute
        },
        columns,
        _SHOWN_ATTRIBUTES,
    )
    labels = [f"{month}/{str(year)[2:]}" for year, month in columns]
    return flask.render_template(
        "citizen/months.html",
        section="uses",
        record=record,
        columns=labels,
        by_agency=by_agency,
        by_attribute=by_attribute,
        bars=drawing.bars(labels, by_agency, title=translate(_BARS)) if by_agency else None,
        heat=drawing.heat(labels, by_attribute, title=translate(_HEAT)) if by_attribute else None,
        looks_back=None if told.is_whole else LOOKS_BACK,
    )


def _following(record: Record, shown: list[UseEntry], *, is_full: bool) -> int | None:
    """Return before which position the next page begins; what is archived has pages of its own."""
    if not shown or is_full:
        return shown[-1].position if shown else None
    return record.history.old_from(shown[-1].position)


def _told_apart(record: Record, entries: Iterable[UseEntry]) -> Iterator[tuple[UseEntry, bool]]:
    return context.services().told_apart(record.subject_id, entries)


def _query(record: Record, stated: dict[str, str]) -> str:
    kept = {**({"of": record.of} if record.of else {}), **stated}
    return f"?{urlencode(kept)}" if kept else ""


def _in_words(record: Record, stated: dict[str, str]) -> list[dict[str, str]]:
    """Return what narrows, in plain words."""
    told = [
        {"label": one["label"], "value": one["options"].get(one["chosen"], one["chosen"])}
        for one in _choices(record, stated)
        if one["chosen"]
    ]
    for name, label in (("since", _FROM), ("until", _TO)):
        if name in stated:
            day = show_date(date.fromisoformat(stated[name]))
            told.append({"label": translate(label), "value": day})
    return told


def _table(record: Record, wanted: Wanted) -> Iterator[list[str]]:
    """Yield a head and a row for each use, newest first."""
    yield [translate(head) for head in _HEADS]
    for entry, altered in _told_apart(record, record.history.all(wanted)):
        told = timeline.one(entry, of_another=record.is_of_another, of=record.of, changed=altered)
        yield [
            str(entry.position),
            entry.at.astimezone(TIME_ZONE).isoformat(timespec="seconds"),
            told["agency"],
            entry.use.client_id,
            told["action"],
            translate(_REFUSED if told["refused"] else _RELEASED),
            "; ".join(told["attributes"]),
            told["purpose"],
            told["basis"],
            told["law"],
            told["acting_for"] or "",
            told["represented_by"] or "",
            told["officer"] or "",
            entry.use.consent_id or "",
            entry.id,
            told["changed"],
        ]


def _wanted() -> tuple[Wanted, dict[str, str]]:
    """Return what the address narrows to, and the same as the address says it; what makes no sense is
    left out, so that an old or mistyped address shows more and not nothing.
    """
    arguments = flask.request.args
    stated = {
        "agency": arguments.get("agency", "")[:255],
        "purpose": _known(arguments.get("purpose", ""), PURPOSES),
        "basis": _known(arguments.get("basis", ""), LEGAL_BASES),
        "channel": _known(arguments.get("channel", ""), {one.value for one in Channel}),
        "attribute": _known(arguments.get("attribute", ""), DICTIONARY),
        "outcome": _known(arguments.get("outcome", ""), {one.value for one in Outcome}),
        "since": _day(arguments.get("since", "")),
        "until": _day(arguments.get("until", "")),
    }
    stated = {name: value for name, value in stated.items() if value}
    return Wanted(
        agency=stated.get("agency", ""),
        purpose=stated.get("purpose", ""),
        basis=stated.get("basis", ""),
        channel=Channel(stated["channel"]) if "channel" in stated else None,
        attribute=stated.get("attribute", ""),
        outcome=Outcome(stated["outcome"]) if "outcome" in stated else None,
        since=_midnight(stated["since"]) if "since" in stated else None,
        until=_midnight(stated["until"], days=1) if "until" in stated else None,
    ), stated


def _known(text: str, among: Any) -> str:
    return text if text in among else ""


def _day(text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return ""
    # Beyond these no use can lie, and arithmetic stays within what a date can be.
    return day.isoformat() if 2000 <= day.year <= 2200 else ""


def _midnight(day: str, days: int = 0) -> datetime:
    begin = date.fromisoformat(day) + timedelta(days=days)
    return datetime.combine(begin, time(), TIME_ZONE).astimezone(UTC)


def _choices(record: Record, stated: dict[str, str]) -> list[dict[str, Any]]:
    """Return the lists of the form that narrows: what occurs in this record, by plain names."""
    language = flask.g.language
    found = record.history.agencies(LOOKS_BACK_SHORTLY, with_old=False)
    agencies = {one.client_id: timeline.agency(one.client_id) for one in found}
    claims = {claim for one in found for claim in one.attributes}
    lists: list[tuple[str, str, dict[str, str]]] = [
        ("agency", translate(_AGENCY), agencies),
        (
            "attribute",
            translate(_ATTRIBUTE),
            {claim: row.label[language] for claim, row in DICTIONARY.items() if claim in claims},
        ),
        (
            "purpose",
            translate(_PURPOSE),
            {code: one.title[language] for code, one in PURPOSES.items()},
        ),
        (
            "basis",
            translate(_BASIS),
            {code: one.title[language] for code, one in LEGAL_BASES.items()},
        ),
        (
            "channel",
            translate(_CHANNEL),
            timeline.channels(
                of_organisation=bool(record.of) and not record.is_person,
                of_another=record.is_of_another,
            ),
        ),
        (
            "outcome",
            translate(_OUTCOME),
            {
                Outcome.RELEASED.value: translate(_RELEASED),
                Outcome.REFUSED.value: translate(_REFUSED),
            },
        ),
    ]
    return [
        {"name": name, "label": label, "options": options, "chosen": stated.get(name, "")}
        for name, label, options in lists
        if options
    ]


def _consent_of(entry: UseEntry, subject_id: str) -> str | None:
    """Return the consent it rested on, where the reader is party to it."""
    if entry.use.consent_id is None:
        return None
    mine = context.services().consents.of_subject(subject_id)
    return next((one.id for one in mine if one.id == entry.use.consent_id), None)


def _last_months(now: datetime) -> list[Month]:
    here = now.astimezone(TIME_ZONE)
    last = here.year * 12 + here.month - 1
    # Newest first, as the timeline: on a phone the beginning of a chart is what one sees.
    return [(n // 12, n % 12 + 1) for n in range(last, last - _MONTHS, -1)]


def _series(counted: dict[str, Any], columns: list[Month], most: int) -> list[drawing.Series]:
    """Return a row of figures for each name, the greatest first; the rest is one row."""
    rows = [
        drawing.Series(name, tuple(counts[column] for column in columns))
        for name, counts in counted.items()
    ]
    rows.sort(key=lambda row: (-row.total, row.name))
    if len(rows) > most:
        rest = tuple(sum(row.figures[n] for row in rows[most - 1 :]) for n in range(len(columns)))
        rows = [*rows[: most - 1], drawing.Series(translate(_OTHERS), rest)]
    return rows


@blueprint.get("/me/agencies")
def agencies() -> str:
    """List the agencies that used data, who did last first."""
    session = person.required()
    record = records.chosen(records.readable(session))
    return flask.render_template(
        "citizen/agencies.html",
        section="uses",
        record=record,
        agencies=[_agency(one, record) for one in record.history.agencies()],
    )


@blueprint.get("/me/agency")
def agency() -> str:
    """Show one agency: what it may see, what it did see, since when, and what can be done."""
    session = person.required()
    record = records.chosen(records.readable(session))
    client_id = flask.request.args.get("id", "")
    services = context.services()
    now = services.installation.clock()
    given = [
        one
        for one in services.consents.of_subject(session.subject_id)
        if one.client_id == client_id
        and one.is_in_force(now)
        and (one.acting_for or session.subject_id) == record.subject_id
    ]
    used = next((one for one in record.history.agencies() if one.client_id == client_id), None)
    if used is None and not given:
        flask.abort(404)
    first = record.history.first_of(client_id)
    columns = _last_months(now)
    begin = datetime(*columns[-1], 1, tzinfo=TIME_ZONE).astimezone(UTC)
    told = record.history.months(begin, TIME_ZONE, client_id)
    labels = [f"{month}/{str(year)[2:]}" for year, month in columns]
    series = _series(
        {timeline.agency(name): counts for name, counts in told.by_agency.items()}, columns, 1
    )
    language = flask.g.language
    return flask.render_template(
        "citizen/agency.html",
        section="uses",
        record=record,
        name=timeline.agency(client_id),
        client_id=client_id,
        first=first.at if first else None,
        used=_agency(used, record) if used else None,
        seen=[
            {
                "label": row.label[language],
                "last": used.last_of[claim],
                "uses": used.attributes[claim],
            }
            for claim, row in DICTIONARY.items()
            if used is not None and claim in used.attributes
        ],
        may_see=[
            {
                "id": one.id,
                "purpose": timeline.purpose_title(one.purpose),
                "attributes": timeline.labels(one.attributes),
                "until": one.valid_until,
                "offline": one.offline,
            }
            for one in given
        ],
        columns=labels,
        series=series,
        bars=drawing.bars(labels, series, title=translate(_BARS)) if series else None,
        by_provider=client_id == PROVIDER,
    )


def _agency(one: Agency, record: Record) -> dict[str, Any]:
    asked = {"id": one.client_id, **({"of": record.of} if record.of else {})}
    narrowed = {"agency": one.client_id, **({"of": record.of} if record.of else {})}
    return {
        "name": timeline.agency(one.client_id),
        "uses": one.uses,
        "refused": one.refused,
        "last": one.last,
        "attributes": timeline.labels(one.attributes),
        "href": f"/me/agency?{urlencode(asked)}",
        "uses_href": f"/me/uses?{urlencode(narrowed)}",
    }
