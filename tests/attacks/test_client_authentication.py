"""How relying parties prove who they are (security cases CA and JW)."""

import base64
import hmac
import json
import time
from typing import Any

import pytest
from joserfc import jws

from tests.support.phone import encoded
from tests.support.relying_party import ASSERTION_TYPE, Answer, RelyingPartyClient, basic, new_key
from tests.support.stores import on_one_database, on_the_stricter_database
from tests.support.world import World

DAY = 86_400


def ask(party: RelyingPartyClient, form: dict[str, str], headers: dict[str, str]) -> Answer:
    return party.call("/introspect", {"token": "sen_at_x", **form}, headers)


def with_assertion(party: RelyingPartyClient, assertion: str, **form: str) -> Answer:
    proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    return ask(party, {**proof, **form}, {})


def is_refused(answer: Answer) -> bool:
    assert (answer.status, answer.body.get("error")) == (401, "invalid_client"), answer.text
    assert "WWW-Authenticate" in answer.headers
    return True


def is_known(answer: Answer) -> bool:
    assert (answer.status, answer.body) == (200, {"active": False}), answer.text
    return True


@pytest.mark.parametrize("party", ["portal", "clinic", "bank"])
def test_the_registered_method_is_taken(world: World, party: str) -> None:
    assert is_known(world.party(party).introspect("sen_at_x"))


def test_ca01_a_wrong_secret_and_an_unknown_party_get_the_same_answer(world: World) -> None:
    party = world.party()
    wrong = ask(party, {}, {"Authorization": basic("portal", "wrong" * 8)})
    unknown = ask(party, {}, {"Authorization": basic("nobody", "wrong" * 8)})
    assert is_refused(wrong)
    assert wrong.text == unknown.text
    kept = {"content-type", "cache-control", "www-authenticate"}
    assert {k: v for k, v in wrong.headers.items() if k in kept} == {
        k: v for k, v in unknown.headers.items() if k in kept
    }


def test_ca01_guessing_is_slowed_after_fifty_tries(world: World) -> None:
    party = world.party()
    for _ in range(50):
        assert is_refused(ask(party, {}, {"Authorization": basic("portal", "wrong" * 8)}))
    headers = {"Authorization": basic("portal", "wrong" * 8)}
    assert ask(party, {}, headers).status == 429
    world.tick(minutes=5)
    assert is_refused(ask(party, {}, headers))


def test_ca01_guessing_never_stops_who_knows_the_secret(world: World) -> None:
    party = world.party()
    for _ in range(50):
        ask(party, {}, {"Authorization": basic("portal", "wrong" * 8)})
    assert is_known(party.introspect("sen_at_x"))


def raw_basic(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


HEADERS = {
    "e-acute": basic("portal", "é"),
    "nul": basic("portal", "\0"),
    "nul-id": basic("por\0tal", "x"),
    "raw-nul-id": raw_basic(b"por\0tal:x"),
    "not-utf8": raw_basic(b"portal:\xff\xfe"),
    "junk": "Basic !!!!",
    "no-colon": raw_basic(b"portal"),
    "empty": "Basic ",
    "only-scheme": "Basic",
    "colons": raw_basic(b"portal:a:b:c"),
    "percent": raw_basic(b"portal:%zz%"),
    "percent-nul": raw_basic(b"%00:%00"),
    "surrogate": raw_basic(b"%ed%a0%80:x"),
    "bearer": "Bearer x",
    "unknown": "Digest username=portal",
    "long": "Basic " + "QUFB" * 10_000,
    "bidi": basic("\u202eportal", "\u202e"),
}


@on_the_stricter_database
@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_ca02_an_odd_header_is_refused_and_breaks_nothing(world: World, header: str) -> None:
    answer = ask(world.party(), {}, {"Authorization": header})
    assert is_refused(answer)


@on_the_stricter_database
@pytest.mark.parametrize("secret", ["é", "a" * 8000, "\u202e", "🔑", "%", ":"])
def test_ca02_an_odd_secret_in_the_form_is_refused(world: World, secret: str) -> None:
    assert is_refused(ask(world.party(), {"client_id": "clinic", "client_secret": secret}, {}))


def test_ca02_a_secret_of_a_megabyte_is_refused_at_once(world: World) -> None:
    form = {"client_id": "clinic", "client_secret": "x" * 2**20}
    assert ask(world.party(), form, {}).status == 413


@on_one_database
@pytest.mark.parametrize(
    "case",
    ["basic+body", "basic+assertion", "assertion+secret", "post-for-basic", "basic-for-post",
     "none-for-secret", "secret-for-assertion", "none-for-assertion", "other-id", "secret-for-none"],
)  # fmt: skip
def test_ca03_exactly_the_registered_method_is_taken(world: World, case: str) -> None:
    portal, bank = world.party("portal"), world.party("bank")
    header = portal.authentication()[0]
    secret = {"client_id": "portal", "client_secret": portal.secret}
    proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": bank.assertion()}
    clinic = world.party("clinic")
    form, headers = {
        "basic+body": (secret, header),
        "basic+assertion": (proof, header),
        "assertion+secret": ({**proof, "client_id": "bank", "client_secret": "x" * 32}, {}),
        "post-for-basic": (secret, {}),
        "basic-for-post": ({}, {"Authorization": basic("clinic", clinic.secret)}),
        "none-for-secret": ({"client_id": "portal"}, {}),
        "secret-for-assertion": ({}, {"Authorization": basic("bank", portal.secret)}),
        "none-for-assertion": ({"client_id": "bank"}, {}),
        "other-id": ({"client_id": "basic"}, header),
        "secret-for-none": ({"client_id": "app", "client_secret": "x" * 32}, {}),
    }[case]
    assert is_refused(ask(portal, form, headers))


@on_one_database
@pytest.mark.parametrize("suffix", ["", "/token", "/introspect", "/revoke"])
def test_an_assertion_is_addressed_to_us_by_any_of_our_names(world: World, suffix: str) -> None:
    bank = world.party("bank")
    assert is_known(with_assertion(bank, bank.assertion(aud=world.issuer + suffix)))


NOW = int(time.time())
CLAIMS: dict[str, dict[str, Any]] = {
    "CA04-other-issuer": {"aud": "https://other.example"},
    "CA04-list-with-others": {"aud": ["https://id.sen.example", "https://other.example"]},
    "CA04-empty-list": {"aud": []},
    "CA04-object": {"aud": {"a": 1}},
    "CA04-list-of-object": {"aud": [{}]},
    "CA04-number": {"aud": 1},
    "CA04-no-aud": {"aud": None},
    "CA04-no-exp": {"exp": None},
    "CA04-past": {"exp": NOW - 3600},
    "CA04-ten-years": {"exp": NOW + 3650 * DAY},
    "CA04-an-hour": {"exp": NOW + 3600},
    "CA04-no-jti": {"jti": None},
    "CA04-jti-number": {"jti": 7},
    "CA04-jti-list": {"jti": ["a"]},
    "CA04-no-sub": {"sub": None},
    "CA04-other-sub": {"sub": "portal"},
    "CA04-sub-list": {"sub": ["bank"]},
    "CA04-sub-nul": {"sub": "ba\0nk"},
    "CA04-sub-surrogate": {"sub": "ba\ud800nk"},
    "CA04-no-iss": {"iss": None},
    "CA04-other-iss": {"iss": "portal"},
    "CA04-iss-list": {"iss": ["bank"]},
    "JW03-exp-text": {"exp": str(NOW + 500)},
    "JW03-exp-true": {"exp": True},
    "JW03-exp-nan": {"exp": float("nan")},
    "JW03-exp-infinite": {"exp": float("inf")},
    "JW03-exp-minus": {"exp": -1},
    "JW03-exp-list": {"exp": [NOW + 500]},
    "JW03-nbf-future": {"nbf": NOW + 3600},
    "JW03-nbf-text": {"nbf": "x"},
    "JW03-iat-list": {"iat": []},
    "JW03-iat-future": {"iat": NOW + 3600},
}


def signed(world: World, claims: dict[str, Any], header: dict[str, Any] | None = None) -> str:
    """Return any claims whatever, rightly signed with the bank's key."""
    key = world.cast.keys["bank"]
    protected = {"alg": "ES256", "kid": key.kid, **(header or {})}
    return jws.serialize_compact(
        protected,
        json.dumps(claims).encode(),
        key,
        registry=jws.JWSRegistry(strict_check_header=False),
    )


def good_claims(world: World) -> dict[str, Any]:
    now = int(world.clock().timestamp())  # type: ignore[misc]
    return {
        "iss": "bank", "sub": "bank", "aud": world.issuer, "iat": now, "exp": now + 590,
        "jti": f"j{time.monotonic_ns()}",
    }  # fmt: skip


@on_the_stricter_database
@pytest.mark.parametrize("changes", CLAIMS.values(), ids=CLAIMS.keys())
def test_an_assertion_with_a_wrong_claim_is_refused(world: World, changes: dict[str, Any]) -> None:
    bank = world.party("bank")
    assert is_known(with_assertion(bank, signed(world, good_claims(world))))
    claims = {k: v for k, v in (good_claims(world) | changes).items() if v is not None}
    answer = with_assertion(bank, signed(world, claims))
    if answer.status == 200:
        # A number in quotes that means the same moment does no harm.
        assert changes == CLAIMS["JW03-exp-text"]
        return
    assert is_refused(answer)


def test_ca06_an_assertion_is_good_once(world: World) -> None:
    bank = world.party("bank")
    assertion = bank.assertion()
    assert is_known(with_assertion(bank, assertion))
    assert is_refused(with_assertion(bank, assertion))


def test_ca06_the_same_jti_in_another_assertion_is_spent_too(world: World) -> None:
    bank = world.party("bank")
    assert is_known(with_assertion(bank, bank.assertion(jti="one")))
    assert is_refused(with_assertion(bank, bank.assertion(jti="one", aud=f"{world.issuer}/token")))


def test_ca06_padding_makes_no_second_assertion(world: World) -> None:
    bank = world.party("bank")
    assertion = bank.assertion()
    assert is_known(with_assertion(bank, assertion))
    for again in (assertion + "=", assertion + "==", assertion.replace(".", "=.", 1)):
        assert is_refused(with_assertion(bank, again))


def unsigned(header: object, claims: object, signature: str = "") -> str:
    def part(document: object) -> str:
        text = document if isinstance(document, str) else json.dumps(document)
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part(claims)}.{signature}"


@on_one_database
@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "", "HS256", "HS512", "ES384", "XS1"])
def test_ca08_an_assertion_with_another_algorithm_is_refused(world: World, alg: str) -> None:
    bank = world.party("bank")
    claims = good_claims(world)
    kid = world.cast.keys["bank"].kid
    assert is_refused(with_assertion(bank, unsigned({"alg": alg, "kid": kid}, claims)))
    assert is_refused(with_assertion(bank, unsigned({"alg": alg, "kid": kid}, claims, "AAAA")))


def test_ca08_the_public_key_is_no_hmac_secret(world: World) -> None:
    bank, key = world.party("bank"), world.cast.keys["bank"]
    pem = key.as_pem(private=False)
    jwk = json.dumps(key.as_dict(private=False)).encode()
    for material in (pem, pem.strip(), pem.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + pem, jwk,
                     key.as_der(private=False), b"\0"):  # fmt: skip
        whole = unsigned({"alg": "HS256", "kid": key.kid}, good_claims(world))
        mac = hmac.digest(material, whole.rstrip(".").encode(), "sha256")
        assert is_refused(with_assertion(bank, whole + encoded(mac)))


@on_the_stricter_database
@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["x"], "x": 1},
        {"kid": "../../etc/passwd"},
        {"kid": "' OR 1=1 --"},
        {"kid": "x" * 2000},
        {"kid": 5},
        {"b64": False, "crit": ["b64"]},
        {"zip": "DEF"},
    ],
    ids="-".join,
)
def test_ca08_an_odd_header_is_refused(world: World, header: dict[str, Any]) -> None:
    bank = world.party("bank")
    protected = {"alg": "ES256", "kid": world.cast.keys["bank"].kid, **header}
    whole = signed(world, good_claims(world))
    head = unsigned(protected, {}).split(".", maxsplit=1)[0]
    answer = with_assertion(bank, head + whole[whole.index(".") :])
    assert is_refused(answer)


def test_ca08_a_key_in_the_token_itself_is_not_believed(world: World) -> None:
    bank, own = world.party("bank"), new_key()
    public = own.as_dict(private=False)
    for header in (
        {"jwk": public},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example"},
    ):
        assert is_refused(with_assertion(bank, bank.assertion(key=own, header=header)))
        named = {**header, "kid": world.cast.keys["bank"].kid}
        assert is_refused(with_assertion(bank, bank.assertion(key=own, header=named)))


@on_one_database
@pytest.mark.parametrize("signature", ["", "AAAA", "A" * 86])
def test_jw01_an_assertion_without_a_real_signature_is_refused(
    world: World, signature: str
) -> None:
    bank = world.party("bank")
    head, body, _ = signed(world, good_claims(world)).split(".")
    assert is_refused(with_assertion(bank, f"{head}.{body}.{signature}"))


DEEP = "[" * 50_000


@on_the_stricter_database
@pytest.mark.parametrize(
    "assertion",
    [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c.d.e",
        "é.é.é",
        "{}",
        '{"payload":"","signatures":[]}',
        unsigned({"alg": "ES256"}, DEEP),
        unsigned(DEEP, {}),
        unsigned({"alg": "ES256"}, "null"),
        unsigned({"alg": "ES256"}, "[]"),
        unsigned("null", {}),
        unsigned({"alg": "PBES2-HS256+A128KW", "p2c": 2**31}, {}),
        unsigned({"alg": "ES256"}, '{"exp": 1' + "0" * 5000 + "}"),
        unsigned({"alg": "ES256"}, '{"exp": 1e400}'),
        unsigned({"alg": "ES256", "x": "y" * 7000}, {}),
    ],
    ids=lambda text: text[:12] or "empty",
)
def test_jw07_what_is_no_assertion_is_refused_quickly(world: World, assertion: str) -> None:
    bank = world.party("bank")
    begun = time.perf_counter()
    answer = with_assertion(bank, assertion, client_id="bank")
    assert answer.status in {400, 401, 413}
    assert answer.body["error"] in {"invalid_client", "invalid_request"}
    assert time.perf_counter() - begun < 1


def test_a_disabled_relying_party_is_nobody(world: World) -> None:
    with world.transaction() as services:
        assert services.registrations.disable("portal")
    assert is_refused(world.party().introspect("sen_at_x"))
    page = world.browser().open(world.party().begin().url)
    assert (page.status, page.location) == (400, "")


def test_the_limit_is_kept_for_all_endpoints_together(world: World) -> None:
    party = world.party()
    headers = {"Authorization": basic("portal", "wrong" * 8)}
    for path in ("/introspect", "/revoke") * 25:
        party.call(path, {"token": "x"}, headers)
    form = {"grant_type": "refresh_token", "refresh_token": "sen_rt_x"}
    assert party.call("/token", form, headers).status == 429
