"""A person at a browser: what she does on pages, what she sees, and what must never happen there."""

import re
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser, BrowserContext, CDPSession, Locator, Page, expect

from idp.demo.run import Party
from tests.stories.folk import Person
from tests.stories.site import ROOT, Site

LOCALES = {"vi": "vi-VN", "en": "en-GB"}
AXE = (ROOT / "tests" / "support" / "axe" / "axe.min.js").read_text("utf-8")
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SCREENSHOTS = ROOT / "tests" / "screenshots"
DESKTOP, PHONE, SMALLEST = 1280, 390, 320
"""Widths; the smallest is what WCAG 2.2 §1.4.10 asks pages to fit into."""
PATIENCE = 10_000
"""Milliseconds that anything may take, on a machine with other work too."""
expect.set_options(timeout=PATIENCE)
AUTHENTICATOR = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class Visit:
    """One browser with its own cookies, in one language."""

    def __init__(
        self,
        chromium: Browser,
        site: Site,
        language: str = "vi",
        *,
        javascript: bool = True,
        autofill: bool = False,
        **options: Any,
    ) -> None:
        self.site = site
        self.language = language
        self.context: BrowserContext = chromium.new_context(
            locale=LOCALES[language],
            timezone_id="Asia/Ho_Chi_Minh",
            viewport={"width": DESKTOP, "height": 900},
            java_script_enabled=javascript,
            # The style sheet honours it, and pictures are taken of pages at rest.
            reduced_motion="reduce",
            **options,
        )
        self.context.set_default_timeout(PATIENCE)
        if not autofill:
            # A device of the debugging protocol takes every offer at once, where a person would
            # pick it from the list under the field; so the browser has no such list, as some have.
            self.context.add_init_script(
                "if (window.PublicKeyCredential)"
                " PublicKeyCredential.isConditionalMediationAvailable = async () => false;"
            )
        self.problems: list[str] = []
        self._tolerated: list[str] = []
        self._has_axe = False
        self._authenticators: list[tuple[CDPSession, str]] = []
        self.page = self.open_tab()

    def open_tab(self) -> Page:
        """Open another tab, watched like the first."""
        page = self.context.new_page()
        page.on(
            "console",
            lambda said: self._note(
                f"{said.type}: {said.text} {said.location.get('url')}", said.type
            ),
        )
        page.on("pageerror", lambda error: self._note(f"page error: {error}", "error"))
        return page

    def tolerate_status(self, status: int) -> None:
        """Let pages of this status come: the browser's console reports each as an error."""
        self._tolerated.append(f"status of {status}")

    def unforgiven(self) -> list[str]:
        """Return what the browser complained about and no story asked for."""
        return [p for p in self.problems if not any(t in p for t in self._tolerated)]

    def close(self) -> None:
        self.context.close()

    def _note(self, text: str, kind: str) -> None:
        if kind in {"error", "warning"}:
            self.problems.append(text)

    # What she does

    def go(self, path: str = "/") -> None:
        """Open a page of the provider."""
        self.page.goto(f"{self.site.provider}{path}")

    def press(self, id_: str) -> None:
        self.page.locator(f"#{id_}").click()

    def fill(self, **fields: str) -> None:
        for id_, text in fields.items():
            self.page.locator(f"#{id_.replace('_', '-')}").fill(text)

    def begin(self, party: Party) -> None:
        """Open a relying party and ask it to sign her in."""
        self.page.goto(party.origin)
        self.press("sign-in")

    def ask(self, party: Party, **parameters: str) -> None:
        """Open an authorization request of the party that its own pages do not make."""
        question = {
            "response_type": "code",
            "client_id": party.client_id,
            "redirect_uri": f"{party.origin}/callback",
            "scope": "openid name",
            "state": "a-state",
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method": "S256",
            **parameters,
        }
        self.go(f"/authorize?{urlencode(question)}")

    def take_authenticator(
        self, person: Person | None = None, tab: Page | None = None, *, used: int = 0
    ) -> "Visit":
        """Give this browser a device that makes passkeys, with the person's on it if she has one.

        The debugging protocol knows a device in one tab only, by default the first.
        """
        cdp = self.context.new_cdp_session(tab or self.page)
        before = len(self._authenticators)
        cdp.send("WebAuthn.enable")
        id_ = cdp.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})[
            "authenticatorId"
        ]
        self._authenticators.append((cdp, id_))
        if person is not None and person.passkey is not None:
            credential = person.passkey.for_authenticator()
            # The same passkey on a second device must not look like an old copy of the first.
            credential["signCount"] += 100 * before + used
            cdp.send("WebAuthn.addCredential", {"authenticatorId": id_, "credential": credential})
        return self

    def change_device(self) -> None:
        """Take the device away and give another, so that a second passkey can be made."""
        cdp, id_ = self._authenticators.pop()
        cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": id_})
        cdp.detach()
        self.take_authenticator()

    def refuse_on_device(self) -> None:
        """Fail the next ceremony, as when the finger is not recognised."""
        cdp, id_ = self._authenticators[-1]
        cdp.send("WebAuthn.setUserVerified", {"authenticatorId": id_, "isUserVerified": False})

    def give_password(self, person: Person, password: str | None = None) -> None:
        self.fill(login=person.login, password=password or person.password)
        self.press("login-submit")

    def use_passkey(self) -> None:
        self.press("passkey-sign-in")

    def enter_code(self, person: Person, login: str | None = None) -> None:
        """Enter the activation code on its page."""
        self.fill(login=login or person.login, activation_code=person.activation_code)
        self.press("activate-submit")

    def activate_with_passkey(self, person: Person, login: str | None = None) -> None:
        """From a sign-in page: activate the account, make a passkey, go on."""
        if not self._authenticators:
            self.take_authenticator()
        self.page.locator("main a[href^='/activate']").click()
        self.enter_code(person, login)
        self.press("passkey-create")
        self.press("enrol-continue")

    def sign_in_to_own_pages(self, person: Person) -> None:
        """Sign in at the provider itself, in the way she has."""
        self.go("/sign-in")
        if person.passkey is not None:
            if not self._authenticators:
                self.take_authenticator(person)
            self.use_passkey()
        else:
            self.give_password(person)
        expect(self.page).to_have_url(f"{self.site.provider}/me")

    def decide(self, *, allow: bool = True, optional: tuple[str, ...] = ()) -> None:
        """Tick and press on the consent page."""
        for claim in optional:
            self.page.locator(f"label[for='optional-{claim}']").click()
        self.press("consent-allow" if allow else "consent-deny")

    def switch_language(self, code: str) -> None:
        self.page.locator(f".sen-languages a[lang='{code}']").click()
        expect(self.page.locator("html")).to_have_attribute("lang", code)

    # What she sees

    def sees(self, *texts: str) -> None:
        """Check that the page's main part says each of the texts."""
        main = self.page.locator("main")
        for text in texts:
            expect(main).to_contain_text(text)

    def sees_not(self, *texts: str) -> None:
        main = self.page.locator("main")
        for text in texts:
            expect(main).not_to_contain_text(text)

    def title(self) -> Locator:
        return self.page.locator("h1")

    def is_at(self, party: Party) -> None:
        expect(self.page).to_have_url(re.compile(rf"{re.escape(party.origin)}/(\?.*)?$"))

    def is_on(self, path: str) -> None:
        """Check which of the provider's pages this is, whatever its query."""
        expected = re.escape(f"{self.site.provider}{path}")
        expect(self.page).to_have_url(re.compile(rf"^{expected}(\?.*)?$"))

    def received(self, table: str = "userinfo") -> dict[str, str]:
        """Return what a relying party shows that it received: claim and value in words."""
        expect(self.page.locator(f"#{table}")).to_be_visible()
        rows = self.page.locator(f"#{table} tr[data-claim]").all()
        return {
            row.get_attribute("data-claim") or "": row.locator("td").first.inner_text()
            for row in rows
        }

    def learns_that_it_ended(self, party: Party) -> None:
        """See that the relying party knows no more of her: told by the provider meanwhile, or when it
        reads again.
        """
        self.page.goto(party.origin)
        if self.page.locator("#read-again").count():
            self.press("read-again")
        expect(self.page.locator("#notice")).to_have_attribute("data-notice", "ended")
        expect(self.page.locator("#sign-in")).to_be_visible()

    def notice(self) -> str | None:
        """Return the code of the notice that a relying party shows."""
        return self.page.locator("#notice").get_attribute("data-notice")

    # What must be true of every page

    def look(self, name: str) -> None:
        """Hold the page against WCAG 2.2 AA, see that it fits small screens, take its picture."""
        page = self.page
        expect(page.locator("html")).to_have_attribute("lang", self.language)
        # Other letters are wider, and on a busy machine ours and the style sheet may come late.
        page.wait_for_load_state("load")
        page.evaluate("document.fonts.ready.then(() => true)")
        SCREENSHOTS.mkdir(exist_ok=True)
        if self.language == "vi" and not self._has_axe:
            # Later pages have it from the browser, in a quarter of the time.
            self.context.add_init_script(AXE)
            self._has_axe = True
        wide = page.viewport_size
        faults: list[str] = []
        for width in (SMALLEST, PHONE, DESKTOP):
            page.set_viewport_size({"width": width, "height": 900})
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                faults.append(f"wider than {width} px")
            if width != SMALLEST:
                # As JPEG, which is drawn up in half the time.
                path = SCREENSHOTS / f"{name}-{self.language}-{width}.jpg"
                page.screenshot(path=path, full_page=True, type="jpeg", quality=90)
                # Between languages only the texts differ, which axe does not read.
                if self.language == "vi":
                    faults += [f"at {width} px: {fault}" for fault in violations(page)]
        if wide is not None:
            page.set_viewport_size(wide)
        assert not faults, f"{name} ({self.language}): {faults}"


def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong with the page as it stands."""
    if not page.evaluate("typeof window.axe === 'object'"):
        page.evaluate(AXE)
    # No rule of these reads style sheets themselves, which axe would otherwise fetch for each page.
    found = page.evaluate(
        "async tags => (await axe.run(document, {runOnly: tags, resultTypes: ['violations'],"
        " preload: {assets: ['media']}})).violations",
        WCAG,
    )
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found
        for node in violation["nodes"]
    ]
