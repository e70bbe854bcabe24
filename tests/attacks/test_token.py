"""The token endpoint (security cases PK, TK and RF)."""

import pytest

from tests.support.relying_party import Answer, Tokens, basic
from tests.support.world import Arrival, World

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def arrival(world: World) -> Arrival:
    return world.arrive(scope="openid name offline_access")


def is_refused(answer: Answer, error: str = "invalid_grant") -> bool:
    assert answer.status in {400, 401}, answer.text
    assert answer.body["error"] == error, answer.text
    assert set(answer.body) <= {"error", "error_description"}
    assert answer.headers["Cache-Control"] == "no-store"
    return True


@pytest.mark.parametrize(
    "verifier",
    ["wrong" * 12, None, "", "x" * 42, "x" * 129, "é" * 43, "CHALLENGE"],
    ids=[
        "PK03-wrong",
        "PK03-absent",
        "PK03-empty",
        "PK05-42",
        "PK05-129",
        "PK05-ascii",
        "PK05-s256",
    ],
)
def test_a_wrong_verifier_is_an_invalid_grant_and_spends_nothing(
    arrival: Arrival, verifier: str | None
) -> None:
    if verifier == "CHALLENGE":
        verifier = arrival.attempt.parameters["code_challenge"]
    answer = arrival.party.try_redeem(arrival.attempt, arrival.code, code_verifier=verifier)
    assert answer.status == 400
    assert answer.body["error"] in {"invalid_grant", "invalid_request"}
    assert arrival.tokens()


def test_pk05_a_verifier_with_a_line_break_is_refused(arrival: Arrival) -> None:
    changed = arrival.attempt.verifier + "\n"
    answer = arrival.party.try_redeem(arrival.attempt, arrival.code, code_verifier=changed)
    assert is_refused(answer, "invalid_request")


def test_tk01_a_code_used_twice_kills_what_it_gave(arrival: Arrival) -> None:
    tokens = arrival.tokens()
    assert arrival.party.is_alive(tokens.access)
    assert is_refused(arrival.party.try_redeem(arrival.attempt, arrival.code))
    assert not arrival.party.is_alive(tokens.access)
    assert is_refused(arrival.party.refresh(tokens.refresh))


@pytest.mark.parametrize("thief", ["basic", "clinic", "app"])
def test_tk03_another_relying_party_cannot_redeem_the_code(
    world: World, arrival: Arrival, thief: str
) -> None:
    stolen = world.party(thief).try_redeem(arrival.attempt, arrival.code)
    assert is_refused(stolen)
    assert arrival.tokens()


@pytest.mark.parametrize(
    "uri",
    [None, "https://portal.example/other", "https://portal.example/%63allback",
     "https://portal.example/callback/", "HTTPS://portal.example/callback"],
)  # fmt: skip
def test_tk04_the_redirect_uri_must_be_the_same(arrival: Arrival, uri: str | None) -> None:
    answer = arrival.party.try_redeem(arrival.attempt, arrival.code, redirect_uri=uri)
    assert is_refused(answer)
    assert arrival.tokens()


def test_tk05_a_code_of_59_seconds_is_good(world: World, arrival: Arrival) -> None:
    world.tick(seconds=59)
    assert arrival.tokens()


@pytest.mark.parametrize("seconds", [60, 61])
def test_tk05_a_code_of_a_minute_is_dead(world: World, arrival: Arrival, seconds: int) -> None:
    code = arrival.code
    world.tick(seconds=seconds)
    assert is_refused(arrival.party.try_redeem(arrival.attempt, code))


@pytest.mark.parametrize("change", ["more", "less", "case", "last", "padding", "prefix", "bits"])
def test_tk05_a_code_with_one_sign_changed_is_no_code(arrival: Arrival, change: str) -> None:
    code = arrival.code
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    changed = {
        "more": code + "A",
        "less": code[:-1],
        "case": code.swapcase(),
        "last": code[:-1] + letters[(letters.index(code[-1]) + 32) % 64],
        "padding": code + "=",
        "prefix": code.removeprefix("sen_ac_"),
        # Another spelling of the very same bytes, where the last sign has bits to spare.
        "bits": code[:-1] + letters[letters.index(code[-1]) ^ 1],
    }[change]
    assert is_refused(arrival.party.try_redeem(arrival.attempt, changed))


@pytest.mark.parametrize(
    "grant_type",
    [
        "password",
        "implicit",
        "unknown",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:openid:params:grant-type:ciba",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "AUTHORIZATION_CODE",
    ],
)
def test_tk06_no_other_grant_type_exists(arrival: Arrival, grant_type: str) -> None:
    answer = arrival.party.try_redeem(
        arrival.attempt, arrival.code, grant_type=grant_type, username="lan", password="x"
    )
    assert is_refused(answer, "unsupported_grant_type")


def test_tk06_a_grant_type_that_was_not_registered_is_unauthorized(world: World) -> None:
    answer = world.party("customs").refresh("sen_rt_anything")
    assert is_refused(answer, "unauthorized_client")


def test_tk06_a_missing_grant_type_is_an_invalid_request(arrival: Arrival) -> None:
    answer = arrival.party.try_redeem(arrival.attempt, arrival.code, grant_type=None)
    assert is_refused(answer, "invalid_request")


@pytest.mark.parametrize("path", ["/token", "/revoke", "/introspect"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_tk07_only_post_is_taken(world: World, path: str, method: str) -> None:
    answer = world.party()._sent(method, path)
    assert answer.status == 405
    assert answer.body == {"error": "invalid_request"}
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/token", "/revoke", "/introspect"])
@pytest.mark.parametrize("case", ["query", "json", "doubled", "multipart", "text", "empty"])
def test_tk07_parameters_come_once_and_in_a_form_body(
    arrival: Arrival, path: str, case: str
) -> None:
    client = arrival.party.client
    headers = {"Authorization": basic(arrival.party.client_id, arrival.party.secret)}
    form = {"grant_type": "authorization_code", "code": arrival.code, "token": "x"}
    match case:
        case "query":
            answer = client.post(
                path + "?grant_type=authorization_code", data=form, headers=headers
            )
        case "json":
            answer = client.post(path, json=form, headers=headers)
        case "doubled":
            body = f"grant_type=authorization_code&token=x&token=y&code={arrival.code}&code=x"
            answer = client.post(path, content=body.encode(), headers=headers | FORM)
        case "multipart":
            answer = client.post(path, files={"token": b"x"}, headers=headers)
        case "text":
            answer = client.post(path, content=b"token=x", headers=headers)
        case _:
            answer = client.post(path, content=b"", headers=headers | FORM)
    assert answer.status_code in {400, 401}
    assert answer.json()["error"] == "invalid_request"


def test_rf01_a_rotated_token_kills_the_family(arrival: Arrival) -> None:
    tokens = arrival.tokens()
    newest = arrival.party.checked(arrival.party.refresh(tokens.refresh))
    assert is_refused(arrival.party.refresh(tokens.refresh))
    assert is_refused(arrival.party.refresh(newest.refresh))


@pytest.mark.parametrize("scope", ["openid name birth", "openid admin", "openid name email"])
def test_rf04_a_refresh_cannot_widen_the_scope(arrival: Arrival, scope: str) -> None:
    tokens = arrival.tokens()
    assert is_refused(arrival.party.refresh(tokens.refresh, scope=scope), "invalid_scope")
    assert arrival.party.refresh(tokens.refresh).status == 200


def test_rf_another_relying_party_cannot_refresh_and_kills_nothing(
    world: World, arrival: Arrival
) -> None:
    tokens = arrival.tokens()
    assert is_refused(world.party("basic").refresh(tokens.refresh))
    assert arrival.party.refresh(tokens.refresh).status == 200


def test_rf08_an_access_token_does_not_refresh(arrival: Arrival) -> None:
    assert is_refused(arrival.party.refresh(arrival.tokens().access))


def test_rf_a_refresh_needs_client_authentication(arrival: Arrival) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": arrival.tokens().refresh}
    assert is_refused(arrival.party.call("/token", form, {}), "invalid_client")
    form["client_id"] = arrival.party.client_id
    assert is_refused(arrival.party.call("/token", form, {}), "invalid_client")


@pytest.mark.parametrize("ground", ["consent", "session", "account"])
def test_a_code_is_void_once_its_ground_is_gone(
    world: World, arrival: Arrival, ground: str
) -> None:
    from accounts.account import LockReason  # noqa: PLC0415

    with world.transaction() as services:
        subject = world.subject_in(services, "lan")
        account = services.accounts.find_of_subject(subject)
        assert account is not None
        match ground:
            case "consent":
                services.consents.withdraw(services.consents.of_subject(subject)[0].id, subject)
            case "session":
                services.sessions.end_all(account.id)
            case "account":
                services.accounts.lock(account.id, LockReason.AUTHORITY_ORDER)
    assert is_refused(arrival.party.try_redeem(arrival.attempt, arrival.code))


def test_a_new_id_token_by_refresh_carries_no_nonce(arrival: Arrival) -> None:
    # OIDC Core §12.2: the nonce of the first answer is not repeated to whoever refreshes.
    fresh: Tokens = arrival.party.checked(arrival.party.refresh(arrival.tokens().refresh))
    assert "nonce" not in fresh.claims
