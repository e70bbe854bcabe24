"""Authentication levels 3 and 4: face, chip and password on top of level 2, and keys of a biometric."""

from datetime import datetime
from typing import Any

import pytest

from accounts.account import AccountKind
from accounts.authenticator_models import AuthenticatorModels
from accounts.face_checks import Verdict, face_check
from accounts.fido_metadata import Biometric, Metadata, Model
from accounts.levels import AccountLevel
from connectors.face_match import Judgement
from connectors.protocol import NotFound, Query, Unavailable
from connectors.simulation.cards import CardIssuer
from connectors.simulation.faces import capture
from consent.data_use import Channel
from tests.idp.test_recovery import CODES, sign_in_by_card
from tests.support.browser import Browser, Page, as_json
from tests.support.cards import LAN, Reader, chip_of, code_on
from tests.support.office import Office
from tests.support.stores import KINDS
from tests.support.world import World

THREE, FOUR = "urn:vn:eid:aal:3", "urn:vn:eid:aal:4"
PICTURE = capture(LAN["personal_number"])


def essential(value: str) -> str:
    return f'{{"id_token":{{"acr":{{"essential":true,"values":["{value}"]}}}}}}'


class OneFaceService:
    """A service that a test answers for; the real one's wire is tried in tests/connectors."""

    name = "face_match"

    def __init__(self) -> None:
        self.answer: Verdict | NotFound | Unavailable = Verdict.MATCH
        self.asked: list[tuple[Query, bytes, str]] = []

    def compare(
        self, query: Query, picture: bytes, entry: str, now: datetime
    ) -> Judgement | NotFound | Unavailable:
        self.asked.append((query, picture, entry))
        if isinstance(self.answer, Verdict):
            return Judgement(self.answer, f"REF-{len(self.asked)}", now)
        return self.answer


@pytest.fixture
def kind() -> str:
    return "sqlite"


@pytest.fixture
def service(world: World) -> OneFaceService:
    made = OneFaceService()
    world.installation.face_match = made  # type: ignore[assignment]
    return made


def begin(world: World, browser: Browser, party: str = "basic", **wish: str) -> tuple[Any, Page]:
    client = world.party(party)
    attempt = client.begin("openid", **wish)
    return attempt, browser.visit(attempt.url)


def show_face(browser: Browser, page: Page, picture: bytes = PICTURE) -> Page:
    form = page.form("/sign-in/face")
    own = {"Origin": browser.issuer, "Sec-Fetch-Site": "same-origin"}
    fields = {name: value for name, value in form.values.items() if name != "picture"}
    return browser._send(
        "POST", form.action, data=fields, files={"picture": ("f.png", picture)}, headers=own
    )


def claims(world: World, attempt: Any, page: Page) -> dict[str, Any]:
    party = world.party("basic")
    return party.redeem(attempt, party.code_from(attempt, page.location)).claims


def agreed(browser: Browser, page: Page) -> Page:
    """Follow to the answer, agreeing on the way."""
    page = browser.follow(page)
    return browser.submit(page.form("/consent"), "consent-allow") if page.status == 200 else page


def test_a_face_takes_a_passkeys_session_from_level_2_to_3(
    world: World, service: OneFaceService
) -> None:
    browser = world.sign_in(how="passkey")
    attempt, page = begin(world, browser, acr_values=THREE)
    assert page.path == "/sign-in/face"
    assert "camera=(self)" in page.headers["Permissions-Policy"]
    assert "camera=()" in browser.open("/me").headers["Permissions-Policy"]
    world.tick(minutes=1)
    told = claims(world, attempt, browser.follow(agreed(browser, show_face(browser, page))))
    assert told["acr"] == THREE
    assert {"pop", "user", "mfa", "face"} == set(told["amr"])
    # The time is that of the passkey: a face alone signs nobody in.
    assert told["auth_time"] == int(world.installation.clock().timestamp()) - 60
    ((query, picture, evidence),) = service.asked
    entry = evidence.entry
    assert (query.identifier, query.attributes, picture) == (
        LAN["personal_number"], ("portrait",), PICTURE,
    )  # fmt: skip
    with world.transaction() as services:
        (use,) = [
            one
            for one in services.use_log.of_subject(world.subject_in(services, "lan"))
            if one.use.channel is Channel.CONNECTOR_PULL
        ]
        (kept,) = services.db.execute(face_check.select()).mappings()
    assert (use.id, use.use.purpose, use.use.legal_basis) == (
        entry, "account-identity-check", "consent",
    )  # fmt: skip
    assert (kept["verdict"], kept["reference"], kept["use_id"]) == ("match", "REF-1", entry)
    # Who asks again within the session's limits is not sent to the camera again; a new sign-in is.
    assert "code=" in begin(world, browser, acr_values=THREE)[1].location
    again = begin(world, browser, acr_values=THREE, prompt="login")[1]
    answer = browser.use_passkey(
        world.person().passkey, again.form("/sign-in/password").values["interaction"]
    )
    assert browser.visit(as_json(answer)["location"]).path == "/sign-in/face"


@pytest.mark.parametrize("verdict", [Verdict.NO_MATCH, Verdict.NOT_LIVE, Verdict.UNUSABLE])
def test_what_does_not_agree_raises_nobody_and_is_limited(
    world: World, service: OneFaceService, verdict: Verdict
) -> None:
    browser = world.sign_in(how="passkey")
    attempt, page = begin(world, browser, claims=essential(THREE))
    service.answer = verdict
    first = page
    for _ in range(5):
        page = show_face(browser, page)
        assert page.status in {403, 422}
    service.answer = Verdict.MATCH
    page = show_face(browser, page)
    assert page.status == 429
    assert len(service.asked) == 5
    # A picture sent once with this page's ticket is not taken again, also after the limit's window.
    world.tick(minutes=9)
    world.installation.engine.dispose()
    assert show_face(browser, first).status in {401, 429}
    assert "/sign-in/face" in browser.visit(attempt.url).path


@pytest.mark.parametrize("kind", KINDS)
def test_a_ticket_is_for_one_picture_in_one_session(world: World, service: OneFaceService) -> None:
    browser, other = world.sign_in(how="passkey"), world.sign_in(how="passkey")
    _, page = begin(world, browser, claims=essential(THREE))
    _, others = begin(world, other, claims=essential(THREE))
    service.answer = Verdict.NO_MATCH
    assert show_face(browser, page).status == 403
    service.answer = Verdict.MATCH
    assert show_face(browser, page).status == 401
    stolen = others.html.replace(
        others.form("/sign-in/face").values["ticket"], page.form("/sign-in/face").values["ticket"]
    )
    swapped = Page(others.url, others.status, others.headers, stolen)
    assert show_face(other, swapped).status == 401
    world.tick(minutes=11)
    assert show_face(other, others).status == 401
    assert len(service.asked) == 1
    for nonsense in (b"", b"GIF89a", b"\xff\xd8\xff" + bytes(201 * 1024)):
        assert show_face(other, others, nonsense).status in {413, 422}


def test_a_service_that_is_away_leaves_everything_as_it_was(
    world: World, service: OneFaceService
) -> None:
    browser = world.sign_in(how="passkey")
    attempt, page = begin(world, browser, acr_values=THREE)
    service.answer = Unavailable("face_match", "timeout")
    page = show_face(browser, page)
    assert page.status == 503
    # She may go on without, because the service does not insist.
    page = browser.submit(page.form("/sign-in/step/decline"), "step-decline")
    told = claims(world, attempt, browser.follow(agreed(browser, page)))
    assert told["acr"] == "urn:vn:eid:aal:2"


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_sent_at_once_are_compared_one_after_the_other(
    world: World, service: OneFaceService
) -> None:
    browser = world.sign_in(how="passkey")
    pages = [begin(world, browser, claims=essential(THREE))[1] for _ in range(3)]
    inner: list[int] = []
    compare = service.compare

    def slow(query: Query, picture: bytes, entry: str, now: datetime) -> Any:
        if not inner:
            inner.append(0)
            # While the service thinks, the next picture comes.
            inner.append(show_face(browser, pages[1]).status)
        return compare(query, picture, entry, now)

    service.compare = slow  # type: ignore[method-assign]
    service.answer = Verdict.NO_MATCH
    assert show_face(browser, pages[0]).status == 403
    assert inner == [0, 401]
    assert show_face(browser, pages[2]).status == 403
    assert len(service.asked) == 2


@pytest.mark.parametrize("why", ["no-portrait", "unknown", "foreigner", "level-01", "off"])
def test_where_a_face_cannot_be_compared_the_level_is_unmet(
    world: World, service: OneFaceService, why: str
) -> None:
    if why == "off":
        world.installation.face_match = None
    elif why in {"foreigner", "level-01"}:
        account = world.account()
        with world.transaction() as services:
            if why == "level-01":
                services.accounts.set_level(account, AccountLevel.LEVEL_01)
            else:
                services.db.exec_driver_sql(
                    f"UPDATE account SET kind = '{AccountKind.FOREIGNER.value}'"
                )
    else:
        service.answer = Verdict.NO_PORTRAIT if why == "no-portrait" else NotFound("face_match")
    browser = world.sign_in(how="passkey")
    attempt, page = begin(world, browser, claims=essential(THREE))
    if page.path == "/sign-in/face":
        page = show_face(browser, page)
        assert page.status == 403
        interaction = page.html.split("/authorize?interaction=")[1].split('"')[0]
        page = browser.open(f"/authorize?interaction={interaction}")
    error = world.party("basic").error_from(attempt, page.location)
    assert error == "unmet_authentication_requirements"
    assert (THREE in world.installation.acr_values) is (why != "off")


def test_password_and_code_come_before_the_face(world: World, service: OneFaceService) -> None:
    account = world.account()
    hashes = [world.installation.hashing.hash_unchecked(code) for code in CODES]
    with world.transaction() as services:
        services.second_factors.make_card(account, hashes)
    browser = world.browser()
    sign_in_by_card(world, browser)
    attempt, page = begin(world, browser, acr_values=THREE)
    told = claims(world, attempt, browser.follow(agreed(browser, show_face(browser, page))))
    assert (told["acr"], set(told["amr"])) == (THREE, {"pwd", "otp", "mfa", "face"})
    # Less is never proved by it: without the code the password's session is asked for that first.
    weak = world.browser()
    form = weak.open("/sign-in").form("/sign-in/password")
    weak.submit(form, login="lan", password=world.person().password)
    assert begin(world, weak, acr_values=THREE)[1].path == "/sign-in"


@pytest.mark.parametrize("kind", KINDS)
def test_level_4_needs_password_face_and_chip_and_nothing_less(
    world: World, service: OneFaceService, issuer: CardIssuer, reader: Reader
) -> None:
    Office(world).knows_card(LAN)
    assert world.installation.acr_values[2:4] == (THREE, FOUR)
    browser = world.sign_in(how="passkey")
    attempt, page = begin(world, browser, claims=essential(FOUR))
    assert page.path == "/sign-in/known"
    assert browser.submit(page.form("/sign-in/known"), password="bốn lá sen khô").status == 401
    page = browser.submit(page.form("/sign-in/known"), password=world.person().password)
    page = browser.follow(page)
    assert page.path == "/sign-in/face"
    page = browser.follow(show_face(browser, page))
    assert page.path == "/sign-in/card"
    page = browser.submit(page.form("/sign-in/card"))
    code = code_on(world, page)
    waiting = browser.submit(page.form("/sign-in/card/finish"))
    assert (waiting.status, code_on(world, waiting)) == (409, code)
    assert reader.asked(code)["purpose"] == "authentication"
    # Her neighbour's card proves nothing here.
    other = {**LAN, "personal_number": "999301000009"}
    assert reader.hold(chip_of(issuer, other), code).json()["reason"] == "other-person"
    page = browser.submit(page.form("/sign-in/card/finish"))
    assert "refused" in page.text
    page = browser.submit(page.form("/sign-in/card"))
    assert reader.hold(chip_of(issuer, LAN), code_on(world, page)).json() == {"status": "accepted"}
    # Only the session that asked may take the proof up, and once.
    elsewhere = world.sign_in(how="passkey")
    with world.transaction() as services:
        found = services.sessions.of_account(world_account(services, world))
    assert len(found) == 2
    page = browser.submit(page.form("/sign-in/card/finish"))
    told = claims(world, attempt, browser.follow(agreed(browser, page)))
    assert told["acr"] == FOUR
    assert set(told["amr"]) == {"pop", "user", "mfa", "pwd", "face", "sc"}
    # What another browser proved helps this one nothing.
    assert begin(world, elsewhere, claims=essential(FOUR))[1].path == "/sign-in/known"


def world_account(services: Any, world: World) -> str:
    found = services.accounts.find_of_subject(world.subject_in(services, "lan"))
    assert found is not None
    return str(found.id)


@pytest.mark.parametrize(
    ("biometric", "acr", "amr"),
    [
        (Biometric.FINGERPRINT, THREE, {"hwk", "fpt"}),
        (Biometric.OTHER, THREE, {"hwk"}),
        (Biometric.NONE, "urn:vn:eid:aal:2", {"hwk"}),
    ],
)
def test_a_key_that_only_a_biometric_unlocks_reaches_level_3(
    world: World, biometric: Biometric, acr: str, amr: set[str]
) -> None:
    aaguid, account = "2fc0579f-8113-47ea-b116-bb5a8db9202a", world.account()
    model = Model(aaguid, "Khóa Mẫu", True, False, biometric, ())
    with world.transaction() as services:
        AuthenticatorModels(services.db).replace(
            Metadata(1, world.installation.clock().date(), (model,))
        )
        services.db.exec_driver_sql(
            "UPDATE passkey SET attested = 1, backup_eligible = 0, aaguid = ? WHERE account_id = ?",
            (aaguid, account),
        )
    browser = world.sign_in()
    attempt, page = begin(world, browser, acr_values=THREE)
    if biometric is Biometric.NONE:
        assert page.path == "/consent"
    else:
        assert (page.path, page.has_form("/sign-in/password")) == ("/sign-in", True)
    browser = world.sign_in(how="passkey")
    attempt, page = begin(world, browser, acr_values=THREE)
    told = claims(world, attempt, browser.follow(agreed(browser, page)))
    assert (told["acr"], set(told["amr"])) == (acr, {"pop", "user", "mfa"} | amr)
