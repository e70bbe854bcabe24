"""The authorization endpoint (security cases AZ and PK)."""

import hmac
import json
from base64 import urlsafe_b64encode
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import PyJWK

from accounts.levels import ACR_VALUES
from tests.support.relying_party import challenge
from tests.support.world import World


def refusal(world: World, party: str = "portal", **changes: str | None) -> str:
    """Return the error that the relying party gets for the changed request."""
    client = world.party(party)
    attempt = client.begin(**{"scope": "openid", **changes})  # type: ignore[arg-type]
    page = world.browser().open(attempt.url)
    assert page.status == 303, page.text
    return client.error_from(attempt, page.location)


@pytest.mark.parametrize(
    "response_type",
    ["token", "id_token", "code token", "code id_token", "none", "CODE", "code code"],
)
def test_az01_only_the_code_flow_exists(world: World, response_type: str) -> None:
    assert refusal(world, response_type=response_type) == "unsupported_response_type"


@pytest.mark.parametrize("mode", ["fragment", "form_post", "query.jwt", "QUERY", "web_message"])
def test_az02_only_the_query_carries_answers(world: World, mode: str) -> None:
    assert refusal(world, response_mode=mode) == "invalid_request"


@pytest.mark.parametrize("name", ["state", "scope", "nonce", "prompt", "code_challenge", "claims"])
def test_az03_a_doubled_parameter_is_refused(world: World, name: str) -> None:
    party = world.party()
    parameters = {"prompt": "login", "claims": "{}", **party.begin().parameters}
    query = urlencode([*parameters.items(), (name, parameters[name])])
    page = world.browser().open(f"/authorize?{query}")
    assert page.query["error"] == "invalid_request"
    assert "code" not in page.query


def test_az03_a_doubled_client_id_gets_a_page(world: World) -> None:
    query = urlencode([*world.party().begin().parameters.items(), ("client_id", "portal")])
    page = world.browser().open(f"/authorize?{query}")
    assert (page.status, page.location) == (400, "")


@pytest.mark.parametrize("prompt", ["none login", "none consent", "nonsense", "login nonsense"])
def test_az04_prompts_that_contradict_are_refused(world: World, prompt: str) -> None:
    assert refusal(world, prompt=prompt) == "invalid_request"


@pytest.mark.parametrize("changes", [{"prompt": "login"}, {"max_age": "0"}])
def test_az05_a_live_session_does_not_pass_for_a_fresh_sign_in(
    world: World, changes: dict[str, str]
) -> None:
    browser = world.arrive().browser
    world.tick()
    attempt = world.party().begin("openid name", **changes)
    page = browser.visit(attempt.url)
    assert page.has_form("/sign-in/password")
    interaction = page.form("/sign-in/password").values["interaction"]
    for path in ("/authorize", "/consent"):
        assert browser.visit(f"{path}?interaction={interaction}").has_form("/sign-in/password")


@pytest.mark.parametrize("value", ["-1", "1e99", "abc", "1.5", "9" * 30, "٣", " 1", "0x1"])
def test_az06_a_max_age_that_is_no_number_is_never_ignored(world: World, value: str) -> None:
    assert refusal(world, max_age=value) == "invalid_request"


def test_az08_the_token_never_claims_more_than_happened(world: World) -> None:
    wish = " ".join(reversed(ACR_VALUES))
    claims = world.arrive(person="hoa", acr_values=wish).tokens().claims
    assert claims["acr"] == ACR_VALUES[0]
    assert claims["amr"] == ["pwd"]


def test_az10_scopes_that_are_not_assigned_are_never_granted(world: World) -> None:
    tokens = world.arrive("tax", "openid name pid email admin no\u00a0such").tokens()
    assert tokens.raw["scope"] == "openid name"
    told = world.party("tax").userinfo(tokens.access).body
    assert set(told) == {"sub", "name", "vn_account_kind", "vn_account_level"}


def test_az10_a_scope_with_control_characters_gets_a_page(world: World) -> None:
    page = world.browser().open(world.party().begin("openid\x00name").url)
    assert (page.status, page.location) == (400, "")


def test_az10_ten_thousand_scopes_are_refused(world: World) -> None:
    attempt = world.party().begin("openid " + "x " * 10_000)
    page = world.browser().open(attempt.url)
    assert page.status == 400


@pytest.mark.parametrize("case", ["forged", "other-issuer", "junk", "none"])
def test_az11_a_hint_that_is_not_ours_never_signs_anybody_in(world: World, case: str) -> None:
    bank = world.party("bank")
    hint = {
        "forged": bank.assertion(iss=world.issuer, sub="x", aud="portal"),
        "other-issuer": bank.assertion(iss="https://evil.example", sub="x", aud="portal"),
        "junk": "a.b.c",
        "none": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
    }[case]
    assert refusal(world, id_token_hint=hint, prompt="none") in {
        "invalid_request",
        "login_required",
    }


@pytest.mark.parametrize("spelled", ["jwk", "pem", "pem-stripped", "der", "empty"])
def test_jw02_a_hint_under_our_public_key_as_a_secret_is_no_hint(
    world: World, spelled: str
) -> None:
    jwk = world.client().get("/jwks").json()["keys"][0]
    public = PyJWK(jwk).key
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secret = {
        "jwk": json.dumps(jwk).encode(),
        "pem": pem,
        "pem-stripped": pem.strip(),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "empty": b"",
    }[spelled]
    browser = world.arrive().browser
    claims = {"iss": world.issuer, "aud": "portal", "sub": "x", "iat": 1, "exp": 9999999999}
    head, body = (
        urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "kid": jwk["kid"], "typ": "JWT"}, claims)
    )
    mac = urlsafe_b64encode(hmac.digest(secret, head + b"." + body, "sha256")).rstrip(b"=")
    hint = b".".join((head, body, mac)).decode()
    page = browser.open(world.party().begin(id_token_hint=hint, prompt="none").url)
    assert page.query["error"] in {"invalid_request", "login_required"}


@pytest.mark.parametrize("value", ["s" * 5000, "é" * 5000])
def test_az12_a_state_that_is_too_long_is_refused_and_not_cut(world: World, value: str) -> None:
    page = world.browser().open(world.party().begin(state=value).url)
    assert page.query.get("state") is None
    assert page.query["error"] == "invalid_request"


@pytest.mark.parametrize("sign", ["n", "ế", "😀"])
def test_az12_the_longest_nonce_that_is_taken_comes_back_whole(world: World, sign: str) -> None:
    nonce = sign * 1024
    attempt = world.party().begin("openid", nonce=nonce)
    page = world.browser().open(attempt.url)
    if page.query.get("error") == "invalid_request":
        return
    assert world.arrive("portal", "openid", nonce=nonce).tokens().claims["nonce"] == nonce


def test_az13_every_answer_names_its_issuer(world: World) -> None:
    arrival = world.arrive()
    assert arrival.party.answer_from(arrival.attempt, arrival.location)["iss"] == world.issuer
    # `error_from` asserts the same of every error in this file.
    assert refusal(world, prompt="none") == "login_required"


EXTRA = {
    "sub": "someone", "user": "minh", "auth_time": "1", "approved": "true", "acr": "phr",
    "consent": "allow", "decision": "allow", "interaction": "x", "login": "minh",
    "consent_id": "x", "level": "4", "acting_for": "self", "csrf_token": "x",
}  # fmt: skip


def test_az16_fields_of_ours_in_the_request_change_nothing(world: World) -> None:
    arrival = world.arrive(**EXTRA)
    assert arrival.tokens().claims["acr"] == ACR_VALUES[0]
    assert world.party().userinfo(arrival.tokens().access).body["name"] == world.person().name


def test_az16_fields_of_ours_in_the_forms_change_nothing(world: World) -> None:
    browser, person = world.browser(), world.person()
    attempt = world.party().begin("openid name")
    page = browser.visit(attempt.url)
    ours = {name: value for name, value in EXTRA.items() if name in {"sub", "acr", "level", "user"}}
    page = browser.submit(
        page.form("/sign-in/password"), login=person.login, password=person.password, **ours
    )
    page = browser.follow(page)
    page = browser.follow(browser.submit(page.form("/consent"), "consent-allow", **ours))
    claims = world.party().redeem(attempt, world.party().code_from(attempt, page.location)).claims
    assert claims["acr"] == ACR_VALUES[0]


@pytest.mark.parametrize("party", ["portal", "app"])
def test_pk01_a_missing_challenge_is_refused_where_it_is_required(world: World, party: str) -> None:
    error = refusal(world, party, code_challenge=None, code_challenge_method=None)
    assert error == "invalid_request"


@pytest.mark.parametrize("party", ["portal", "basic"])
@pytest.mark.parametrize("method", ["plain", None, "s256", "S256 ", "S512", ""])
def test_pk02_no_other_method_than_s256_is_taken(
    world: World, party: str, method: str | None
) -> None:
    assert refusal(world, party, code_challenge_method=method) == "invalid_request"


@pytest.mark.parametrize(
    "value",
    ["short", "x" * 42, "x" * 129, "é" * 43, challenge("v") + "=", challenge("v")[:-1] + "+"],
)
def test_pk02_a_malformed_challenge_is_refused(world: World, value: str) -> None:
    assert refusal(world, code_challenge=value) == "invalid_request"


def test_pk02_a_method_without_a_challenge_is_refused(world: World) -> None:
    assert refusal(world, "basic", code_challenge=None) == "invalid_request"


def test_without_a_challenge_no_verifier_is_needed_where_pkce_is_optional(world: World) -> None:
    assert world.arrive("basic", code_challenge=None, code_challenge_method=None).tokens()


def test_pk_a_verifier_without_a_challenge_is_refused(world: World) -> None:
    # RFC 9700 §4.8.2: a request whose challenge was stripped must not pass unnoticed.
    arrival = world.arrive("basic", code_challenge=None, code_challenge_method=None)
    answer = arrival.party.try_redeem(
        arrival.attempt, arrival.code, code_verifier=arrival.attempt.verifier
    )
    assert answer.status == 400
    assert answer.body["error"] in {"invalid_grant", "invalid_request"}


def test_az_claims_with_odd_unicode_are_no_fault_of_ours(world: World) -> None:
    text = json.dumps({"id_token": {"acr": {"values": ["\ud800", "\u202e"]}, "\udfff": None}})
    assert world.arrive("basic", claims=text).tokens()
