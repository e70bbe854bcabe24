"""What the tests of mandates share: giving and answering through pages, as people do."""

from tests.support.browser import Browser, Page
from tests.support.cast import TAX_CODE
from tests.support.world import World

YEAR = "365"


def organisation(world: World) -> str:
    with world.transaction() as services:
        found = services.subjects.find_organisation(TAX_CODE)
    assert found is not None
    return found


def mandate_id(world: World, agent: str, type_: str | None = None) -> str:
    """Return the newest mandate of the person, in force or not."""
    with world.transaction() as services:
        found = services.mandates.of_agent(world.subject_in(services, agent))
    return next(one.id for one in found if type_ in {None, one.type.value})


def given_by(world: World, giver: str) -> list[str]:
    with world.transaction() as services:
        found = services.mandates.given_by(world.subject_in(services, giver))
    return [one.id for one in found if one.granted_by is not None]


def state(world: World, mandate: str) -> str:
    with world.transaction() as services:
        found = services.mandates.find(mandate)
        assert found is not None
        return services.mandates.standing(found).value


def strong(world: World, person: str) -> Browser:
    return world.sign_in(person, how="passkey")


def give(
    world: World,
    browser: Browser,
    to: str,
    type_: str = "proxy",
    under: str = "",
    *,
    services: tuple[str, ...] = ("public-service",),
    lasts: str = YEAR,
    **fields: str,
) -> Page:
    """Offer a mandate to somebody of the cast, on the form."""
    page = browser.open(f"/me/mandates/give?type={type_}&under={under}")
    assert page.status == 200, page.text
    person = world.person(to)
    stated = {"name": person.name, "personal_number": person.number, **fields}
    return browser.submit(
        page.form("/me/mandates/give"), services=list(services), lasts=lasts, **stated
    )


def press(browser: Browser, mandate: str, what: str) -> Page:
    """Press a button on a mandate's page, or send what it would if it is not there."""
    token = browser.open("/me/details").form("/me/details").values["csrf_token"]
    return browser.post(f"/me/mandates/{mandate}/{what}", {"csrf_token": token})


def hold(
    world: World,
    giver: Browser,
    to: str,
    type_: str = "proxy",
    under: str = "",
    *,
    services: tuple[str, ...] = ("public-service",),
    lasts: str = YEAR,
    **fields: str,
) -> str:
    """Offer a mandate and have it accepted; return its id."""
    # Ids are in order from one moment to the next only: the newest is the one.
    world.tick()
    page = give(world, giver, to, type_, under, services=services, lasts=lasts, **fields)
    assert page.status == 200, page.text
    offered = mandate_id(world, to, type_)
    accepted = press(strong(world, to), offered, "accept")
    assert accepted.status == 200, accepted.text
    return offered
