"""A phone with the app: its key, and what its script and its owner do on the app's pages."""

import html
import re
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.support.browser import Browser, Page
from tests.support.phone import encoded
from tests.support.world import World


@dataclass
class AppPhone:
    """Somebody's phone, whose browser she is signed in with."""

    browser: Browser
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def point(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    @property
    def thumbprint(self) -> str:
        digest = hashes.Hash(hashes.SHA256())
        digest.update(self.point)
        return encoded(digest.finalize())

    def sign(self, statement: str) -> str:
        r, s = decode_dss_signature(self.key.sign(statement.encode(), ec.ECDSA(hashes.SHA256())))
        return encoded(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def enrol(self) -> Page:
        page = self.browser.open("/app/enrol")
        return self.browser.submit(
            page.form("/app/enrol"),
            public_key=encoded(self.point),
            signature=self.sign(statement_on(page)),
        )

    def scan(self, frame: str) -> Page:
        """Read a code; the page that follows is what asks for the decision."""
        form = self.browser.open("/app/scan").form("/app/scan")
        return self.browser.follow(self.browser.submit(form, frame=frame))

    def decide(self, page: Page, number: int, *, approve: bool = True) -> Page:
        return self.browser.follow(self.browser.post(page.path, self.fields(page, number, approve)))

    def fields(self, page: Page, number: int, approve: bool = True) -> dict[str, str]:
        return page.form(page.path).values | {
            "decision": "approve" if approve else "decline",
            "number": str(number),
            "phone": self.thumbprint,
            "signature": self.sign(f"{statement_on(page)}{number}"),
        }


def statement_on(page: Page) -> str:
    found = re.search(r'data-statement="([^"]*)"', page.html)
    assert found, page.text
    return html.unescape(found[1])


@dataclass
class Screen:
    """A browser that shows a code, and what can be read off it."""

    world: World
    browser: Browser
    id: str

    @property
    def path(self) -> str:
        return f"/sign-in/qr/{self.id}"

    def frame(self) -> str:
        """Return the address that the code on the screen spells now."""
        with self.world.transaction() as services:
            known = services.qr_sign_ins
            found = known.find(self.id)
            assert found is not None
            return known.address_of(known.frame(found))

    def show(self) -> Page:
        return self.browser.open(self.path)

    def number(self) -> int:
        found = re.search(r'sen-number">.*?([0-9]{2})</p>', self.show().html, re.DOTALL)
        assert found
        return int(found[1])

    def state(self) -> str:
        found = re.search(r'data-state="([a-z]+)"', self.show().html)
        assert found
        return found[1]

    def redeem(self) -> Page:
        return self.browser.submit(self.show().form(f"{self.path}/redeem"))


def phone_of(world: World, person: str = "lan") -> AppPhone:
    """Return her phone, signed in with her passkey and enrolled."""
    phone = AppPhone(world.sign_in(person, "passkey"))
    page = phone.enrol()
    assert (page.status, page.location) == (303, "/app/"), page.text
    return phone


def begin(world: World, browser: Browser | None = None, interaction: str = "") -> Screen:
    """Let a browser show a code, for a parked request or for the own pages."""
    browser = browser or world.browser()
    page = browser.open(f"/sign-in?interaction={interaction}" if interaction else "/sign-in")
    begun = browser.submit(page.form("/sign-in/qr"))
    assert begun.status == 303, begun.text
    return Screen(world, browser, begun.location.rsplit("/", 1)[1])
