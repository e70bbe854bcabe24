"""The record of whom somebody speaks for: a child, a ward, an organisation; what is kept from whom."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from accounts.attributes import Source
from accounts.legal_clock import HANOI, comes_of_age
from accounts.mandates import MandateType
from accounts.notices import NoticeKind
from consent.data_use import Channel, Use
from consent.ledger import verify
from idp import following, ledger
from idp.ledger import Keeper
from tests.support.browser import Browser
from tests.support.cast import COMPANY
from tests.support.mandates import mandate_id, organisation
from tests.support.stores import KINDS
from tests.support.world import World

NAME = "Nguyễn Bình An"
HEALTH = Use(
    subject_id="", client_id="clinic", channel=Channel.USERINFO,
    attributes=("sub", "hi_card"), purpose="healthcare", purpose_version=1,
    legal_basis="statutory-function", correlation="c" * 32,
)  # fmt: skip


@pytest.fixture(params=KINDS[:1])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    made = Keeper()
    yield made
    made.close()


def bear(world: World, years: int, type_: MandateType = MandateType.PARENT) -> str:
    """Let hoa be lan's child, or ward, of so many years; return the mandate."""
    child, parent = world.subject("hoa"), world.subject("lan")
    assert world.clock is not None
    today = world.clock().astimezone(HANOI).date()
    birthdate = today.replace(year=today.year - years, month=1, day=1).isoformat()
    with world.transaction() as services:
        held = services.held.of_subject(child)[Source.POPULATION].values
        values = {**held, "name": NAME, "birthdate": birthdate}
        services.held.hold(child, Source.POPULATION, values)
        end = comes_of_age(birthdate) if type_ is MandateType.PARENT else None
        services.mandates.grant(type_, child, parent, "population", end)
    world.secrets.append(NAME)
    return mandate_id(world, "lan", type_.value)


def treat(world: World) -> None:
    """Let a clinic read the child's health insurance and, once, only her name."""
    child = world.subject("hoa")
    with world.transaction() as services:
        for attributes in (HEALTH.attributes, ("sub", "name")):
            services.use_log.record(replace(HEALTH, subject_id=child, attributes=attributes))


def proof(browser: Browser, query: str) -> dict[str, Any]:
    form = browser.open(f"/me/uses/proof{query}").form("/me/uses/proof")
    done = browser.submit(form, "download-proof")
    assert done.status == 200, done.text
    found: dict[str, Any] = json.loads(done.html)
    return found


def verified(world: World, bundle: dict[str, Any]) -> str:
    now = int(world.installation.clock().timestamp())
    return verify.check(bundle, now=now, policy=ledger.policy(world.installation)).failed


def exports(world: World, subject_id: str) -> list[str | None]:
    with world.transaction() as services:
        entries = services.use_log.of_subject(subject_id)
    return [one.use.other_party for one in entries if one.use.channel is Channel.EXPORT]


def test_a_parent_reads_and_proves_a_small_childs_record(world: World, keeper: Keeper) -> None:
    mandate = bear(world, 5)
    treat(world)
    keeper(world.installation)
    lan = world.sign_in("lan")
    page = lan.open("/me/uses")
    assert NAME in page.text
    page = lan.open(f"/me/uses?of={mandate}")
    assert "Health-insurance card" in page.text
    bundle = proof(lan, f"?of={mandate}")
    assert bundle["subject"] == world.subject("hoa")
    assert verified(world, bundle) == ""
    # Both have it in their own record, with the other.
    child, parent = world.subject("hoa"), world.subject("lan")
    assert (exports(world, child), exports(world, parent)) == ([parent], [child])
    assert world.person("lan").name in world.sign_in("hoa").open("/me/uses").text


def test_what_the_law_keeps_from_parents_stays_the_childs(world: World, keeper: Keeper) -> None:
    mandate = bear(world, 9)
    keeper(world.installation)
    following.follow(world.installation)
    treat(world)
    lan, hoa = world.sign_in("lan"), world.sign_in("hoa")
    with world.transaction() as services:
        newest = services.use_log.of_subject(world.subject_in(services, "hoa"))
    (secret,) = (one.position for one in newest if "hi_card" in one.use.attributes)
    shown = f"/me/uses?of={mandate}"
    for query in ("", "&agency=clinic", "&attribute=hi_card", "&purpose=healthcare"):
        text = lan.open(shown + query).text
        assert "told from 7 years of age to the child alone" in text
        # It names no data, neither in an entry nor in the list to choose from.
        assert "Health-insurance card" not in text
    # The clinic's other use is there, so it is not the clinic that is kept away.
    assert "Read this person's data" in lan.open(shown + "&agency=clinic").text
    assert lan.open(f"/me/uses/{secret}?of={mandate}").status == 404
    assert lan.open(f"/me/cases/ask?use={secret}&of={mandate}").status == 404
    for path in (f"/me/agency?id=clinic&of={mandate}", f"/me/months?of={mandate}"):
        assert "Health-insurance card" not in lan.open(path).text
    page = lan.open(f"/me/uses/copy?of={mandate}")
    table = lan.submit(page.form("/me/uses/copy")).html
    assert "Health-insurance card" not in table
    assert [row for row in csv.reader(io.StringIO(table)) if "clinic" in row]
    # A proof has every use in it.
    assert lan.open(f"/me/uses/proof?of={mandate}").status == 404
    assert "/me/uses/proof?of" not in lan.open(shown).html
    # The child herself reads it, and is told; her mother is told of what is not secret only.
    assert "Health-insurance card" in hoa.open("/me/uses").text
    keeper(world.installation)
    following.follow(world.installation)
    with world.transaction() as services:
        told = {
            login: {
                one.kind for one in services.notices.of_subject(world.subject_in(services, login))
            }
            for login in ("lan", "hoa")
        }
    assert NoticeKind.NEW_DATA in told["hoa"]
    assert NoticeKind.NEW_DATA not in told["lan"]


def test_a_guardian_speaks_for_an_adult_ward_in_all(world: World, keeper: Keeper) -> None:
    mandate = bear(world, 40, MandateType.GUARDIAN)
    treat(world)
    keeper(world.installation)
    lan = world.sign_in("lan")
    assert "Health-insurance card" in lan.open(f"/me/uses?of={mandate}").text
    assert verified(world, proof(lan, f"?of={mandate}")) == ""


def test_from_14_years_of_age_the_record_is_hers(world: World, keeper: Keeper) -> None:
    mandate = bear(world, 15)
    treat(world)
    keeper(world.installation)
    lan = world.sign_in("lan")
    assert NAME not in lan.open("/me/uses").text
    # An address with a mandate that gives no such right shows one's own record.
    assert "Read this person's data" not in lan.open(f"/me/uses?of={mandate}").text
    assert proof(lan, f"?of={mandate}")["subject"] == world.subject("lan")


def test_a_first_use_of_a_childs_data_is_told_to_the_parent(world: World, keeper: Keeper) -> None:
    bear(world, 9)
    keeper(world.installation)
    following.follow(world.installation)
    child = world.subject("hoa")
    with world.transaction() as services:
        services.use_log.record(replace(HEALTH, subject_id=child, attributes=("sub", "name")))
    keeper(world.installation)
    following.follow(world.installation)
    text = world.sign_in("lan").open("/me/notices").text
    assert "used data for the first time" in text
    assert f"This is about {NAME}." in text


def test_a_representative_reads_and_proves_the_companys_record(
    world: World, keeper: Keeper
) -> None:
    mandate = mandate_id(world, "lan")
    arrival = world.arrive("portal", "openid represent organization", acting_for=mandate)
    arrival.party.userinfo(arrival.tokens().access)
    keeper(world.installation)
    lan = world.sign_in("lan")
    assert COMPANY in lan.open("/me/uses").text
    assert "Read the organisation's data" in lan.open(f"/me/uses?of={mandate}").text
    bundle = proof(lan, f"?of={mandate}")
    company, person = organisation(world), world.subject("lan")
    assert bundle["subject"] == company
    assert verified(world, bundle) == ""
    assert (exports(world, company), exports(world, person)) == ([person], [company])
    # Who has no mandate gets her own.
    assert proof(world.sign_in("minh"), f"?of={mandate}")["subject"] == world.subject("minh")
    # And whoever is not a representative any more, too.
    with world.transaction() as services:
        services.mandating.follow_representatives(company, set(), "enterprises")
    assert f"of={mandate}" not in lan.open("/me/uses").html
    assert proof(lan, f"?of={mandate}")["subject"] == person
