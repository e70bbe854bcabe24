"""Settings: what is missing, unknown or unsafe stops the start (security case LG04)."""

import base64
import secrets
from pathlib import Path

import pytest

from idp.settings import Lifetimes, Settings, SettingsError, read_settings


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "secret").write_text(base64.b64encode(secrets.token_bytes(48)).decode())
    return {"SEN_DATA_DIR": str(tmp_path)}


def read(environment: dict[str, str], **changes: str) -> Settings:
    return read_settings({**environment, **{f"SEN_{name}": v for name, v in changes.items()}})


def refused(environment: dict[str, str], **changes: str) -> str:
    with pytest.raises(SettingsError) as error:
        read(environment, **changes)
    return str(error.value)


def test_a_data_folder_with_a_secret_is_enough(environment: dict[str, str]) -> None:
    settings = read(environment)
    assert settings.issuer == "http://localhost:8000"
    assert settings.database_url.startswith("sqlite:///")
    assert not settings.is_secure


def test_an_unknown_name_is_told_with_the_known_ones(environment: dict[str, str]) -> None:
    told = refused(environment, ISUER="https://id.example")
    assert "SEN_ISUER is not a setting" in told
    assert "SEN_ISSUER" in told


@pytest.mark.parametrize("name", ["DEBUG", "SECRET_KEY", "DEMO", "TRUSTED_HOSTS"])
def test_lg04_there_is_no_switch_for_debugging_or_for_a_default_secret(
    environment: dict[str, str], name: str
) -> None:
    assert "is not a setting" in refused(environment, **{name: "1"})


@pytest.mark.parametrize(
    "issuer",
    [
        "http://id.example",
        "http://10.0.0.1",
        "ftp://id.example",
        "id.example",
        "https://",
        "https://id.example/path",
        "https://id.example?x=1",
        "https://id.example#x",
        "https://*",
        "https://user@id.example",
        "https://user:pass@id.example",
        "https://id.example:notaport",
        "https://ID.example",
    ],
)
def test_lg04_an_issuer_that_is_not_plain_https_is_refused(
    environment: dict[str, str], issuer: str
) -> None:
    assert "SEN_ISSUER" in refused(environment, ISSUER=issuer)


@pytest.mark.parametrize(
    "issuer", ["https://id.example", "https://id.example/", "http://localhost:9", "http://127.0.0.1:9",
               "http://[::1]:9"],
)  # fmt: skip
def test_a_plain_issuer_is_taken_without_its_slash(
    environment: dict[str, str], issuer: str
) -> None:
    assert read(environment, ISSUER=issuer).issuer == issuer.rstrip("/")


@pytest.mark.parametrize(
    ("secret", "word"),
    [
        (base64.b64encode(b"x" * 48).decode(), "weak"),
        (base64.b64encode(bytes(range(31))).decode(), "weak"),
        ("change-me", "base64"),
        ("", "weak"),
        ("é" * 64, "base64"),
    ],
)
def test_lg04_a_weak_secret_is_refused(
    environment: dict[str, str], tmp_path: Path, secret: str, word: str
) -> None:
    (tmp_path / "secret").write_text(secret)
    told = refused(environment)
    assert word in told
    assert not secret or secret not in told


def test_a_missing_secret_says_how_to_make_one(tmp_path: Path) -> None:
    assert "sen init" in refused({"SEN_DATA_DIR": str(tmp_path)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://x"),
        ("DATABASE_URL", "sqlite:x.db"),
        ("PASSWORD_MIB", "18"),
        ("WORKERS", "0"),
        ("WORKERS", "65"),
        ("WORKERS", "two"),
        ("WORKERS", "²"),
        ("PROXY_HOPS", "-1"),
        ("PROXY_HOPS", "11"),
        ("OUTBOUND_ALLOW", "https://agency.example"),
        ("OUTBOUND_ALLOW", "agency.example/*"),
        ("OUTBOUND_ALLOW", "*"),
        ("EXTRA_CA_FILE", "/no/such/file"),
        # The pages tell of twelve months, which are never in the archive.
        ("ARCHIVE_AFTER_MONTHS", "12"),
        ("CONFIG", "/no/such/file"),
    ],
)
def test_a_bad_value_is_named(environment: dict[str, str], name: str, value: str) -> None:
    assert f"SEN_{name}" in refused(environment, **{name: value})


def test_a_file_gives_what_the_environment_does_not(
    environment: dict[str, str], tmp_path: Path
) -> None:
    config = tmp_path / "sen.toml"
    config.write_text(
        'issuer = "https://id.example"\nworkers = 3\noutbound_allow = ["a.example", "b.example:8443"]\n'
    )
    settings = read(environment, CONFIG=str(config), WORKERS="5")
    assert settings.issuer == "https://id.example"
    assert settings.workers == 5
    assert settings.outbound_allow == {"a.example", "b.example:8443"}


@pytest.mark.parametrize("text", ["isuer = 1", "= broken", "[issuer]\nx = 1"])
def test_a_bad_file_is_refused(environment: dict[str, str], tmp_path: Path, text: str) -> None:
    config = tmp_path / "sen.toml"
    config.write_text(text)
    assert refused(environment, CONFIG=str(config))


def test_the_archive_has_a_folder_of_its_own(environment: dict[str, str], tmp_path: Path) -> None:
    settings = read(environment)
    assert settings.archive_folder == settings.data_dir / "archive"
    settings = read(environment, ARCHIVE_DIR=str(tmp_path / "a"), ARCHIVE_AFTER_MONTHS="60")
    assert (settings.archive_folder, settings.retention.hot_months) == (tmp_path / "a", 60)


def test_postgresql_is_spelled_with_its_driver(environment: dict[str, str]) -> None:
    url = read(environment, DATABASE_URL="postgresql://u@/sen").database_url
    assert url == "postgresql+psycopg://u@/sen"


def test_the_secret_is_not_shown(environment: dict[str, str]) -> None:
    settings = read(environment)
    assert repr(settings.secret) not in repr(settings)


def test_windows_that_guard_one_another_fit() -> None:
    life = Lifetimes()
    assert life.authorization_code.total_seconds() <= 60
    assert life.id_token.total_seconds() <= 600
    assert life.assertion_memory > life.assertion


XROAD = {"REGISTERS_URL": "https://ss.example:8443/", "XROAD_CLIENT": "VN/GOV/MPS/sen-id"}


def test_the_registers_are_behind_a_security_server(environment: dict[str, str]) -> None:
    settings = read(environment, **XROAD, XROAD_PLACES="population=VN/GOV/MPS/npdb")
    assert settings.registers_url == "https://ss.example:8443"
    assert settings.xroad_client == "VN/GOV/MPS/sen-id"
    assert settings.xroad_places == {"population": "VN/GOV/MPS/npdb"}
    assert read(environment).registers_url is None


@pytest.mark.parametrize(
    "changes",
    [
        {"REGISTERS_URL": "https://ss.example/r1"},
        {"REGISTERS_URL": "https://user@ss.example"},
        {"REGISTERS_URL": "http://ss.example"},
        {"REGISTERS_URL": "ss.example"},
        {"XROAD_CLIENT": ""},
        {"XROAD_CLIENT": "VN/GOV/MPS"},
        {"XROAD_CLIENT": "VN/GOV/../sen-id"},
        {"XROAD_PLACES": "population"},
        {"XROAD_PLACES": "weather=VN/GOV/MPS/npdb"},
        {"XROAD_PLACES": "population=npdb"},
    ],
)
def test_a_way_to_the_registers_that_cannot_be_right_is_refused(
    environment: dict[str, str], changes: dict[str, str]
) -> None:
    told = refused(environment, **{**XROAD, **changes})
    assert any(f"SEN_{name}" in told for name in changes)


MAIL = {"SMTP_URL": "smtps://mail.example", "MAIL_FROM": "no-reply@id.example"}


def test_a_mail_server_has_its_usual_port_and_a_password_from_a_file(
    environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "smtp"
    file.write_text("hush\n")
    mail = read(environment, **MAIL, SMTP_USER="sen", SMTP_PASSWORD_FILE=str(file)).mail
    assert mail is not None
    assert (mail.host, mail.port, mail.is_tls, mail.password) == ("mail.example", 465, True, "hush")
    assert "hush" not in repr(mail)
    relay = read(environment, **{**MAIL, "SMTP_URL": "smtp://mail.example"}).mail
    assert relay is not None
    assert (relay.port, relay.is_tls, relay.is_plain) == (587, False, False)
    assert read(environment).mail is None


@pytest.mark.parametrize(
    "changes",
    [
        {"SMTP_URL": "mail.example"},
        {"SMTP_URL": "smtp://user:secret@mail.example"},
        {"MAIL_FROM": ""},
        {"MAIL_FROM": "Sen ID <no-reply@id.example>"},
        {"SMTP_PASSWORD_FILE": "/nowhere"},
        {"TEXTS_URL": "http://sms.example/send"},
        {"TEXTS_URL": "https://user:secret@sms.example/send"},
        {"TEXTS_TOKEN_FILE": "/nowhere"},
    ],
)
def test_a_way_out_for_notices_that_cannot_be_right_is_refused(
    environment: dict[str, str], changes: dict[str, str]
) -> None:
    told = refused(environment, **{**MAIL, **changes})
    assert any(f"SEN_{name}" in told for name in changes)
    assert "secret@" not in told


def test_faces_are_compared_by_a_place_on_x_road(environment: dict[str, str]) -> None:
    registers = {"REGISTERS_URL": "http://localhost:8110", "XROAD_CLIENT": "VN/GOV/MPS/sen-id"}
    place = "VN/GOV/MPS/face-match"
    assert read(environment, **registers, FACE_MATCH=place).face_match == place
    assert "must be instance/class" in refused(environment, **registers, FACE_MATCH="face-match")
    assert "needs SEN_REGISTERS_URL" in refused(environment, FACE_MATCH=place)


def test_a_file_of_places_is_read_at_the_start(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "places.csv"
    file.write_text("203.0.113.0/24,21.03,105.85,Hà Nội\n", "utf-8")
    assert read(environment, NETWORK_PLACES_FILE=str(file)).network_places_file == file
    other = tmp_path / "other.csv"
    other.write_text("network,latitude,longitude,place\n203.0.113.0/24,91,0,X\n", "utf-8")
    assert "line 2: latitude" in refused(environment, NETWORK_PLACES_FILE=str(other))
    assert "there is no file" in refused(environment, NETWORK_PLACES_FILE="nowhere.csv")
