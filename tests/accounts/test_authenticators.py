"""Passkeys (WebAuthn Level 3 §7; security cases WA)."""

import copy
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from accounts.account import Account
from accounts.authenticators import (
    MOST_PASSKEYS,
    Ceremony,
    Passkeys,
    RelyingPartyIdentity,
    cose_key,
)
from accounts.errors import LastAuthenticatorError, PasskeyRefusedError
from idp.services import Services
from tests.support.cast import ISSUER
from tests.support.clock import Clock
from tests.support.phone import BACKED_UP, BACKUP_ELIGIBLE, PRESENT, VERIFIED, Phone, Twist
from tests.support.stores import Templates

HERE, THERE = b"this browser".ljust(32), b"another one".ljust(32)
RIGHT = PRESENT | VERIFIED


@pytest.fixture
def passkeys(services: Services) -> Passkeys:
    return services.passkeys


@pytest.fixture
def phone(templates: Templates) -> Phone:
    return copy.copy(templates.cast.people["lan"].passkey)


@pytest.fixture
def account(services: Services) -> Account:
    return _account(services, "lan")


def _account(services: Services, login: str) -> Account:
    subject = services.subjects.find_for_sign_in(login)
    assert subject is not None
    found = services.accounts.find_of_subject(subject)
    assert found is not None
    return found


def refuses(passkeys: Passkeys, credential: object, browser: bytes = HERE) -> bool:
    with pytest.raises(PasskeyRefusedError):
        passkeys.verify(credential, browser=browser)
    return True


def options(passkeys: Passkeys) -> dict[str, Any]:
    return passkeys.request_options(browser=HERE)


def creation(passkeys: Passkeys, account: Account) -> dict[str, Any]:
    return passkeys.creation_options(account, login="lan", name="Lan", browser=HERE)


def refuses_creation(passkeys: Passkeys, account: Account, credential: object) -> bool:
    before = passkeys.count(account.id)
    with pytest.raises(PasskeyRefusedError):
        passkeys.create(account, credential, name="x", browser=HERE)
    assert passkeys.count(account.id) == before
    return True


class TestSigningIn:
    def test_a_right_assertion_tells_whose_it_is(
        self, passkeys: Passkeys, phone: Phone, account: Account, clock: Clock
    ) -> None:
        known = passkeys.verify(phone.sign(options(passkeys)), browser=HERE)
        assert known.account_id == account.id
        assert passkeys.of_account(account.id)[0].last_used_at == clock()

    def test_the_options_name_nobody_and_demand_verification(self, passkeys: Passkeys) -> None:
        asked = options(passkeys)
        assert asked["userVerification"] == "required"
        assert not asked.get("allowCredentials")
        assert asked["rpId"] == "id.sen.example"
        assert len(asked["challenge"]) >= 43

    def test_wa01_an_assertion_is_good_once(self, passkeys: Passkeys, phone: Phone) -> None:
        assertion = phone.sign(options(passkeys))
        passkeys.verify(assertion, browser=HERE)
        assert refuses(passkeys, assertion)

    def test_wa01_a_challenge_belongs_to_its_browser(
        self, passkeys: Passkeys, phone: Phone
    ) -> None:
        assertion = phone.sign(passkeys.request_options(browser=THERE))
        assert refuses(passkeys, assertion)
        passkeys.verify(assertion, browser=THERE)

    def test_wa01_a_challenge_belongs_to_its_ceremony(
        self, passkeys: Passkeys, phone: Phone, account: Account
    ) -> None:
        assert refuses(passkeys, phone.sign(creation(passkeys, account)))

    def test_wa01_a_challenge_that_was_never_given_is_refused(
        self, passkeys: Passkeys, phone: Phone
    ) -> None:
        assert refuses(passkeys, phone.sign(options(passkeys), Twist(challenge=b"x" * 32)))

    def test_wa01_a_challenge_is_good_for_five_minutes(
        self, passkeys: Passkeys, phone: Phone, clock: Clock
    ) -> None:
        early, late = phone.sign(options(passkeys)), phone.sign(options(passkeys))
        clock.advance(minutes=4, seconds=59)
        passkeys.verify(early, browser=HERE)
        clock.advance(seconds=1)
        assert refuses(passkeys, late)

    def test_a_failed_assertion_spends_its_challenge(
        self, passkeys: Passkeys, phone: Phone
    ) -> None:
        asked = options(passkeys)
        stranger = ec.generate_private_key(ec.SECP256R1())
        assert refuses(passkeys, phone.sign(asked, Twist(key=stranger)))
        assert refuses(passkeys, phone.sign(asked))

    @pytest.mark.parametrize(
        "twist",
        [
            pytest.param(Twist(origin="http://id.sen.example"), id="WA02-http"),
            pytest.param(Twist(origin="https://sub.id.sen.example"), id="WA02-subdomain"),
            pytest.param(Twist(origin="https://sen.example"), id="WA02-superdomain"),
            pytest.param(Twist(origin="https://id.sen.example:8443"), id="WA02-port"),
            pytest.param(Twist(origin="https://id.sen.example/"), id="WA02-slash"),
            pytest.param(Twist(origin="https://id.sen.example.evil.example"), id="WA02-evil"),
            pytest.param(Twist(origin="null"), id="WA02-null"),
            pytest.param(Twist(rp_id="sen.example"), id="WA02-rp-id-hash"),
            pytest.param(Twist(flags=VERIFIED), id="WA03-not-present"),
            pytest.param(Twist(flags=PRESENT), id="WA03-not-verified"),
            pytest.param(Twist(flags=0), id="WA03-neither"),
            pytest.param(Twist(type="webauthn.create"), id="WA03-type"),
            pytest.param(Twist(cross_origin=True), id="cross-origin"),
            pytest.param(Twist(user_handle=b"x" * 32), id="user-handle"),
            pytest.param(Twist(user_handle=b""), id="no-user-handle"),
            pytest.param(Twist(credential_id=b"y" * 32), id="unknown-credential"),
            pytest.param(Twist(key=ec.generate_private_key(ec.SECP256R1())), id="WA04-foreign-key"),
            pytest.param(Twist(flags=RIGHT | BACKUP_ELIGIBLE), id="backup-eligibility"),
            pytest.param(Twist(flags=RIGHT | BACKED_UP), id="backed-up-but-not-eligible"),
            pytest.param(Twist(trailing=b"\xa0"), id="WA13-trailing"),
        ],
    )
    def test_an_assertion_that_is_not_right_is_refused(
        self, passkeys: Passkeys, phone: Phone, twist: Twist
    ) -> None:
        assert refuses(passkeys, phone.sign(options(passkeys), twist))
        passkeys.verify(phone.sign(options(passkeys)), browser=HERE)

    def test_wa04_anothers_credential_cannot_be_used_with_ones_own_key(
        self, passkeys: Passkeys, phone: Phone, templates: Templates
    ) -> None:
        own = templates.cast.people["minh"].passkey
        stolen = Twist(credential_id=phone.credential_id, user_handle=phone.user_handle)
        assert refuses(passkeys, own.sign(options(passkeys), stolen))

    def test_anothers_user_handle_is_refused_though_the_signature_is_right(
        self, passkeys: Passkeys, phone: Phone, templates: Templates
    ) -> None:
        victim = templates.cast.people["minh"].passkey
        assert refuses(
            passkeys, phone.sign(options(passkeys), Twist(user_handle=victim.user_handle))
        )

    @pytest.mark.parametrize("count", [5, 4, 0])
    def test_wa07_a_counter_that_does_not_grow_is_refused(
        self, passkeys: Passkeys, phone: Phone, count: int
    ) -> None:
        passkeys.verify(phone.sign(options(passkeys), Twist(count=5)), browser=HERE)
        assert refuses(passkeys, phone.sign(options(passkeys), Twist(count=count)))
        passkeys.verify(phone.sign(options(passkeys), Twist(count=6)), browser=HERE)

    def test_phones_without_a_counter_stay_at_nought(
        self, passkeys: Passkeys, phone: Phone
    ) -> None:
        for _ in range(3):
            passkeys.verify(phone.sign(options(passkeys)), browser=HERE)

    @pytest.mark.parametrize(
        "credential",
        [None, [], "x", 7, {}, {"id": "x"}, {"id": 1, "rawId": [], "type": "public-key"},
         {"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": {}},
         {"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": {
             "clientDataJSON": "e30", "authenticatorData": "AA", "signature": "AA"}},
         {"id": "x" * 70_000}],
        ids=lambda value: str(value)[:20],
    )  # fmt: skip
    def test_wa13_what_is_no_credential_is_refused(
        self, passkeys: Passkeys, credential: object
    ) -> None:
        assert refuses(passkeys, credential)


class TestMaking:
    def test_a_new_passkey_signs_in(self, passkeys: Passkeys, account: Account) -> None:
        phone = Phone(ISSUER)
        kept = passkeys.create(
            account, phone.register(creation(passkeys, account)), name="my phone", browser=HERE
        )
        assert (kept.name, kept.account_id) == ("my phone", account.id)
        assert passkeys.verify(phone.sign(options(passkeys)), browser=HERE).id == kept.id

    def test_the_options_are_for_a_discoverable_verified_passkey(
        self, passkeys: Passkeys, account: Account, phone: Phone
    ) -> None:
        asked = creation(passkeys, account)
        assert asked["authenticatorSelection"]["residentKey"] == "required"
        assert asked["authenticatorSelection"]["userVerification"] == "required"
        assert asked["attestation"] in {None, "none"}
        assert [p["alg"] for p in asked["pubKeyCredParams"]] == [-7, -8, -257]
        assert len(asked["excludeCredentials"]) == 1
        assert account.user_handle not in {b"", phone.credential_id}

    def test_wa01_a_registration_is_good_once(self, passkeys: Passkeys, account: Account) -> None:
        made = Phone(ISSUER).register(creation(passkeys, account))
        passkeys.create(account, made, name="x", browser=HERE)
        assert refuses_creation(passkeys, account, made)

    def test_a_challenge_for_one_account_makes_no_passkey_for_another(
        self, passkeys: Passkeys, account: Account, services: Services
    ) -> None:
        made = Phone(ISSUER).register(creation(passkeys, account))
        assert refuses_creation(passkeys, _account(services, "minh"), made)

    def test_wa08_a_credential_id_that_is_known_is_refused(
        self, passkeys: Passkeys, account: Account, templates: Templates
    ) -> None:
        known = templates.cast.people["minh"].passkey.credential_id
        made = Phone(ISSUER).register(creation(passkeys, account), Twist(credential_id=known))
        assert refuses_creation(passkeys, account, made)

    @pytest.mark.parametrize(
        "twist",
        [
            pytest.param(Twist(algorithm=-65535), id="WA08-rs1"),
            pytest.param(Twist(algorithm=-35), id="WA08-es384"),
            pytest.param(Twist(algorithm=-36), id="WA08-es512"),
            pytest.param(Twist(algorithm=5), id="WA08-hmac"),
            pytest.param(Twist(origin="https://evil.example"), id="WA02-origin"),
            pytest.param(Twist(rp_id="evil.example"), id="WA02-rp-id"),
            pytest.param(Twist(type="webauthn.get"), id="WA03-type"),
            pytest.param(Twist(flags=PRESENT), id="WA03-not-verified"),
            pytest.param(Twist(flags=VERIFIED), id="WA03-not-present"),
            pytest.param(Twist(cross_origin=True), id="cross-origin"),
            pytest.param(Twist(challenge=b"z" * 32), id="WA01-challenge"),
            pytest.param(Twist(attestation=b"\xa0"), id="WA13-empty-map"),
            pytest.param(Twist(attestation=b"\x9f" * 5000), id="WA13-endless-lists"),
            pytest.param(Twist(attestation=b"\xbb" + b"\xff" * 8), id="WA13-huge-map"),
            pytest.param(Twist(attestation=b"\x5b" + b"\x7f" * 8), id="WA13-huge-bytes"),
            pytest.param(Twist(attestation=b"\xc2\x5b" + b"\x00" * 9), id="WA13-bignum"),
            pytest.param(Twist(trailing=b"\x00\x01"), id="WA13-trailing"),
        ],
    )
    def test_a_registration_that_is_not_right_is_refused(
        self, passkeys: Passkeys, account: Account, twist: Twist
    ) -> None:
        made = Phone(ISSUER).register(creation(passkeys, account), twist)
        assert refuses_creation(passkeys, account, made)

    def test_there_are_at_most_ten(self, passkeys: Passkeys, account: Account) -> None:
        while passkeys.count(account.id) < MOST_PASSKEYS:
            made = Phone(ISSUER).register(creation(passkeys, account))
            passkeys.create(account, made, name="x", browser=HERE)
        made = Phone(ISSUER).register(creation(passkeys, account))
        assert refuses_creation(passkeys, account, made)


class TestRemoving:
    def test_the_last_way_to_sign_in_stays(self, passkeys: Passkeys, account: Account) -> None:
        key = passkeys.of_account(account.id)[0]
        with pytest.raises(LastAuthenticatorError):
            passkeys.remove(account.id, key.id, has_password=False)
        assert passkeys.remove(account.id, key.id, has_password=True)
        assert passkeys.count(account.id) == 0

    def test_oa01_anothers_passkey_is_not_there(
        self, passkeys: Passkeys, account: Account, services: Services
    ) -> None:
        other = passkeys.of_account(_account(services, "minh").id)[0]
        assert not passkeys.remove(account.id, other.id, has_password=True)

    def test_ceremonies_nobody_finished_are_purged(
        self, passkeys: Passkeys, phone: Phone, clock: Clock
    ) -> None:
        assertion = phone.sign(options(passkeys))
        clock.advance(minutes=5)
        assert passkeys.purge(clock()) == 1
        assert refuses(passkeys, assertion)


def test_the_provider_on_another_host_takes_no_passkey_of_this_one(
    services: Services, phone: Phone
) -> None:
    i = services.installation
    elsewhere = Passkeys(
        services.db, i.clock, i.chance,
        RelyingPartyIdentity("other.example", "https://other.example", "Other"),
    )  # fmt: skip
    assert refuses(elsewhere, phone.sign(elsewhere.request_options(browser=HERE)))


@pytest.mark.parametrize(
    "jwk",
    [{}, {"kty": "RSA"}, {"kty": "EC", "crv": "P-384"}, {"kty": "EC", "crv": "P-256", "d": "x"},
     {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}],
    ids=str,
)  # fmt: skip
def test_only_p256_public_keys_can_be_seeded(jwk: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"P-256|32 bytes"):
        cose_key(jwk)


def test_there_are_two_ceremonies() -> None:
    assert {c.value for c in Ceremony} == {"create", "get"}
