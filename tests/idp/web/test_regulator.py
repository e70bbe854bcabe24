"""Inspectors, their export, and the public page: figures and cases without people."""

import gzip
import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import KeySet
from sqlalchemy import insert

from accounts.officers import Role
from consent.data_use import Channel
from consent.reconciliation import Reconciliations
from consent.use_receipts import use_receipt
from idp import following, supervision
from idp.ledger import Keeper
from tests.support.browser import Browser
from tests.support.stores import KINDS
from tests.support.world import World

OFFICE = "Cục An toàn dữ liệu Mẫu"


@pytest.fixture
def inspector(world: World) -> Browser:
    with world.transaction() as services:
        services.officers.appoint(world.subject_in(services, "minh"), OFFICE, Role.INSPECTOR)
    return world.sign_in("minh", how="passkey")


@pytest.fixture
def keeper(world: World) -> Any:
    made = Keeper()
    yield made
    made.close()


def use(world: World, party: str, times: int, person: str = "lan") -> Browser:
    arrival = world.arrive(party, "openid name", person=person, browser=world.browser())
    tokens = arrival.tokens()
    for _ in range(times):
        arrival.party.userinfo(tokens.access)
    return arrival.browser


def next_month(world: World) -> datetime:
    """Go on to a morning in the middle of the month after, and say when that is."""
    assert world.clock is not None
    then = (world.clock().replace(day=1) + timedelta(days=32)).replace(day=15, hour=3)
    world.clock.set(then)
    return then


def counted(world: World, keeper: Keeper) -> int:
    """Have everything published and followed, by two servers at once as it were."""
    keeper(world.installation)
    return following.follow(world.installation) + following.follow(world.installation)


def case_about(world: World, browser: Browser) -> str:
    with world.transaction() as services:
        entries = services.use_log.of_subject(world.subject_in(services, "lan"))
    place = next(one.position for one in entries if one.use.channel is Channel.USERINFO)
    page = browser.open(f"/me/cases/ask?right=explain&use={place}")
    assert browser.submit(page.form("/me/cases/ask"), right="explain").status == 200
    with world.transaction() as services:
        return services.cases.of_person(world.subject_in(services, "lan"))[0].reference


@pytest.mark.parametrize("kind", KINDS[:1], indirect=True)
def test_the_pages_exist_for_inspectors_with_a_passkey_only(world: World) -> None:
    paths = ["/regulator", "/regulator/cases/ABCD-EFGH", "/regulator/exports"]
    with world.transaction() as services:
        services.officers.appoint(world.subject_in(services, "minh"), OFFICE, Role.INSPECTOR)
        services.officers.appoint(world.subject_in(services, "nga"), "Công an phường Mẫu")
    inspector, weak = world.sign_in("minh", how="passkey"), world.sign_in("minh")
    officer, citizen = world.sign_in("nga", how="passkey"), world.sign_in("lan", how="passkey")
    for path in paths:
        assert citizen.open(path).status == officer.open(path).status == 404
        assert weak.open(path).location == "/sign-in?next=/regulator"
        assert world.browser().open(path).location.startswith("/sign-in")
    # The other way round nobody decides who only watches.
    assert inspector.open("/desk").status == 404
    assert "/regulator" in inspector.open("/me").html
    assert "/regulator" not in officer.open("/me").html
    assert officer.open("/desk").status == 200


@pytest.mark.parametrize("kind", KINDS[:1], indirect=True)
def test_a_case_is_found_by_its_number_alone_and_the_look_is_hers_to_see(
    world: World, inspector: Browser
) -> None:
    lan = use(world, "portal", 1)
    reference = case_about(world, lan)
    person = world.person("lan")
    form = inspector.open("/regulator").form("/regulator/find")
    for nothing in (person.name, person.number, "lan", "%", "", reference[:-1]):
        assert inspector.submit(form, reference=nothing).status == 404
    page = inspector.follow(inspector.submit(form, reference=f" {reference.lower()} "))
    assert (page.status, page.path) == (200, f"/regulator/cases/{reference}")
    assert "Sample service portal" in page.text
    assert "Handling your public-service request" in page.text
    assert person.name not in page.text
    told = lan.open("/me/uses").text
    assert "An inspector of the authority looked at your request" in told
    assert OFFICE in told
    assert world.person("minh").name not in told
    with world.transaction() as services:
        subject = world.subject_in(services, "lan")
        looks = [e.use for e in services.use_log.of_subject(subject)
                 if e.use.channel is Channel.REGULATOR_VIEW]  # fmt: skip
        assert services.use_log.is_intact(subject)
    assert [one.purpose for one in looks] == ["supervision"]
    # Trying numbers ends.
    statuses = {inspector.open(f"/regulator/cases/AAAA-{n:04}").status for n in range(20)}
    assert statuses == {404, 429}


def test_figures_are_counted_once_and_small_ones_are_not_told(
    world: World, inspector: Browser, keeper: Keeper
) -> None:
    next_month(world)
    assert counted(world, keeper) > 0
    use(world, "portal", 12)
    use(world, "clinic", 3)
    use(world, "tax", 25)
    # Two sign-ins of their own come with each token and code.
    assert counted(world, keeper) > 40
    assert counted(world, keeper) == 0
    page = world.browser().open("/transparency")
    assert page.status == 200
    assert page.headers["Cache-Control"] == "public, max-age=60"
    assert "Set-Cookie" not in page.headers
    rows = table(page.html)
    assert rows["Phòng khám Mẫu"][0] == "fewer than 10"
    # The clinic's would follow from what the logs tell of the month.
    assert rows["Sample service portal"][0] == "not shown"
    # The month is not over: whole tens.
    assert rows["Thuế Mẫu"][0] == "at least 20"
    next_month(world)
    rows = table(world.browser().open("/transparency").html)
    assert rows["Phòng khám Mẫu"][:2] == ["0", "fewer than 10"]
    assert rows["Sample service portal"][1] == "not shown"
    assert int(rows["Thuế Mẫu"][1]) in range(25, 30)
    told = world.sign_in("minh", how="passkey").open("/regulator").text
    assert "Data read" in told
    assert world.person("lan").name not in told


def test_the_newest_comparison_and_how_far_agencies_report_are_public(
    world: World, inspector: Browser
) -> None:
    day = (world.installation.clock() - timedelta(days=1)).date()
    with world.transaction() as services:
        kept = Reconciliations(services.db, world.installation.clock)
        kept.take_held("portal", day, ["A" * 43])
        kept.run(day, {"population": [], "enterprises": None})
        made = world.installation.clock()
        services.db.execute(
            insert(use_receipt),
            [
                {
                    "client_id": party,
                    "epoch": 1,
                    "part": 0,
                    "made_at": made,
                    "personal": n,
                    "jws": "",
                }
                for party, n in (("portal", 24), ("tax", 9))
            ],
        )
    public = world.browser().open("/transparency").text
    assert "Uses that the record lacks1" in public
    assert "National population database0" in public
    assert "Sample service portalnothing reported" in public
    assert "Thuế Mẫutoo few reads to tell" in public
    # Who was silent is for inspectors: that it should have told something tells that it read.
    assert "Business registration database" not in public
    assert "Told nothing: Business registration database" in inspector.open("/regulator").text


def table(html: str) -> dict[str, list[str]]:
    """Return each agency's figures."""
    rows = {}
    for row in html.split('<tr class="govuk-table__row"><th scope="row"')[1:]:
        name = row.split(">", 1)[1].split("<", 1)[0]
        cells = [one.split(">", 1)[1].split("<", 1)[0] for one in row.split("<td")[1:]]
        rows[name] = cells[1:]
    return rows


def test_a_days_export_verifies_and_names_nobody(
    world: World, inspector: Browser, keeper: Keeper
) -> None:
    begin = next_month(world)
    browser = use(world, "portal", 12)
    reference = case_about(world, browser)
    exports = []
    for n in (0, 1):
        day = (begin + timedelta(days=n)).date().isoformat()
        world.clock.set(begin + timedelta(days=n + 1))
        if not n:
            # Nothing is told of a day before all of it is published.
            assert supervision.export_due(world.installation) == 0
        counted(world, keeper)
        assert supervision.export_due(world.installation) == 1
        assert supervision.export_due(world.installation) == 0
        inspector = world.sign_in("minh", how="passkey")
        assert f"sen-id-{day}.jsonl.gz" in inspector.open("/regulator/exports").html
        exports.append(
            [
                inspector.client.get(f"/regulator/exports/{day}/{part}").content
                for part in ("file", "manifest")
            ]
        )
    keys = KeySet.import_key_set(world.client().get("/jwks").json())
    manifests = [
        json.loads(jws.deserialize_compact(signed, keys, algorithms=["ES256"]).payload)
        for _, signed in exports
    ]
    for (file, _), manifest in zip(exports, manifests, strict=True):
        assert manifest["sha256"] == hashlib.sha256(file).hexdigest()
    assert manifests[0]["previous"] is None
    assert manifests[1]["previous"] == hashlib.sha256(exports[0][1]).hexdigest()
    lines = [json.loads(line) for line in gzip.decompress(exports[0][0]).splitlines()]
    assert manifests[0]["lines"] == len(lines)
    cases = [one for one in lines if one["is"] == "case"]
    assert [(one["reference"], one["state"]) for one in cases] == [(reference, "open")]
    uses = {
        one["channel"]: one for one in lines if one["is"] == "uses" and one["agency"] == "portal"
    }
    assert uses["userinfo"]["how"] in {"exact", "hidden"}
    assert uses["id_token"]["how"] == "small"
    assert "root" in {one["name"] for one in lines if one["is"] == "log"}
    text = gzip.decompress(exports[0][0]).decode()
    person = world.person("lan")
    for secret in (person.name, person.number, world.subject("lan"), world.account("lan")):
        assert secret not in text
    assert inspector.open("/regulator/exports/2020-01-01/file").status == 404
    assert world.sign_in("lan").open(f"/regulator/exports/{day}/file").status == 404
