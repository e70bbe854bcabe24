"""Settings: one frozen tree, read once from ``SEN_*`` environment variables and a TOML file.

The environment wins over the file. Anything unknown, weak or contradictory stops the start with one
sentence that says what to do.
"""

import base64
import binascii
import csv
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from accounts.chip.trust import Trust
from accounts.levels import AuthenticationLevel
from accounts.secrets import LEAST_MIB
from accounts.vault import LEAST_SECRET_BYTES
from connectors.messages import MailServer, is_address
from connectors.outbound import is_loopback
from connectors.registry import SERVICES
from connectors.xroad import is_subsystem
from consent.ledger.policy import Policy, PolicyError
from idp.places import read_places

PREFIX = "SEN_"


class SettingsError(Exception):
    """A setting is missing, unknown or unsafe; the message says what to do about it."""


@dataclass(frozen=True)
class Lifetimes:
    """How long things live. Windows that guard one another are derived from one another."""

    authorization_code: timedelta = timedelta(seconds=60)
    """FAPI 2.0 §5.3.2.1: at most 60 seconds."""
    access_token: timedelta = timedelta(minutes=10)
    id_token: timedelta = timedelta(minutes=5)
    refresh_idle: timedelta = timedelta(days=30)
    """A refresh token that nobody used for so long is dead."""
    refresh_absolute: timedelta = timedelta(days=365)
    interaction: timedelta = timedelta(hours=1)
    session_idle: Mapping[AuthenticationLevel, timedelta] = field(
        default_factory=lambda: {
            AuthenticationLevel.LEVEL_1: timedelta(minutes=30),
            AuthenticationLevel.LEVEL_2: timedelta(hours=1),
            AuthenticationLevel.LEVEL_3: timedelta(minutes=15),
            AuthenticationLevel.LEVEL_4: timedelta(minutes=15),
        }
    )
    """Without any use; NIST SP 800-63B-4 §2.2.3 and §2.3.3 name an hour and 15 minutes for the upper
    two of its levels."""
    own_pages_idle: timedelta = timedelta(minutes=15)
    """Without use of the own pages and the desk, for these."""
    session_absolute: Mapping[AuthenticationLevel, timedelta] = field(
        default_factory=lambda: dict.fromkeys(AuthenticationLevel, timedelta(hours=12))
    )
    """However much it is used; no service may hold a grant of a session for longer, unless the person
    let it read while she is away."""
    session_touch: timedelta = timedelta(minutes=1)
    """A session's last use is written at most so often."""
    fresh_authentication: timedelta = timedelta(minutes=5)
    """Changing authenticators asks for a sign-in at most this old."""
    assertion: timedelta = timedelta(minutes=10)
    """The farthest ``exp`` of a client assertion that is taken."""
    clock_leeway: timedelta = timedelta(seconds=30)

    @property
    def assertion_memory(self) -> timedelta:
        """How long a ``jti`` is remembered: for as long as its assertion could be taken again."""
        return self.assertion + self.clock_leeway


@dataclass(frozen=True)
class Retention:
    """How long is kept what is not kept for ever; ``idp.retention`` names the law."""

    use_years: int = 5
    refused: timedelta = timedelta(days=730)
    hot_months: int = 13
    """So many whole months of uses stay in the database; older ones are moved to the archive."""


@dataclass(frozen=True)
class Settings:
    """Everything an installation can be told."""

    issuer: str
    """The issuer URL, without a trailing slash; every link is made from it."""
    database_url: str
    data_dir: Path
    secret: bytes = field(repr=False)
    proxy_hops: int = 0
    """How many proxies of ours stand in front; their X-Forwarded-For is believed, no other."""
    workers: int = 1
    extra_ca_file: Path | None = None
    outbound_allow: frozenset[str] = frozenset()
    csca_file: Path | None = None
    """The country signing authorities' certificates; without them no card's chip is read."""
    csca_crl_file: Path | None = None
    """Their revocation lists; with them, a signer that no current list covers is not believed."""
    fido_root_file: Path | None = None
    """Who may sign the metadata of authenticator models; without it none is imported."""
    data_centres_file: Path | None = None
    """Networks of data centres, from which people seldom sign in; without it no rule looks at them."""
    network_places_file: Path | None = None
    """Where networks are; without it no rule judges journeys, and no page names places."""
    breached_passwords_file: Path | None = None
    """Passwords of known breaches, by SHA-1 and sorted; none of them may be chosen."""
    password_mib: int = LEAST_MIB
    """The memory that hashing one password takes; more makes stolen hashes harder to guess."""
    registers_url: str | None = None
    """Our X-Road security server; without one no register is asked."""
    xroad_client: str = ""
    """Who we are on X-Road: instance/class/member/subsystem."""
    xroad_places: Mapping[str, str] = field(default_factory=dict)
    """The subsystem of each register that is not at its usual place, by the register's name."""
    face_match: str = ""
    """The subsystem that compares faces, on X-Road; without one no level above 2 is reached by it."""
    mail: MailServer | None = None
    """Where notices by e-mail are handed over; without one they stand on people's own pages only."""
    texts_url: str | None = None
    """The gateway for notices by text message."""
    texts_token: str = field(default="", repr=False)
    ledger_policy: Policy | None = None
    """Who cosigns the published logs, and how many it takes; without one nobody does."""
    report_within: timedelta = timedelta(hours=24)
    """So soon agencies report what they did later with data; what comes after counts as late."""
    oversight_key: bytes | None = None
    """The oversight body's public key (X25519); without it nothing can be sealed."""
    sealing_clients: frozenset[str] = frozenset()
    """Who may seal a read, by client id."""
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    retention: Retention = field(default_factory=Retention)
    archive_dir: Path | None = None
    """The folder of the archive of uses, the same for all servers; by default one in ``data_dir``."""
    leave_to: str = "https://www.google.com.vn/"
    """Where a person is brought who leaves her pages at once: what anybody may have open."""

    @property
    def archive_folder(self) -> Path:
        """Where the archive of uses is."""
        return self.archive_dir or self.data_dir / "archive"

    @property
    def is_secure(self) -> bool:
        """True when people reach us by https, so that cookies can be ``Secure`` and ``__Host-``."""
        return self.issuer.startswith("https://")

    @property
    def host(self) -> str:
        """The issuer's host name, which is also the WebAuthn RP ID."""
        return urlsplit(self.issuer).hostname or ""


_KNOWN = {
    "ISSUER": "issuer",
    "DATABASE_URL": "database_url",
    "DATA_DIR": "data_dir",
    "SECRET_FILE": "secret_file",
    "PROXY_HOPS": "proxy_hops",
    "WORKERS": "workers",
    "EXTRA_CA_FILE": "extra_ca_file",
    "OUTBOUND_ALLOW": "outbound_allow",
    "CSCA_FILE": "csca_file",
    "CSCA_CRL_FILE": "csca_crl_file",
    "FIDO_ROOT_FILE": "fido_root_file",
    "DATA_CENTRES_FILE": "data_centres_file",
    "NETWORK_PLACES_FILE": "network_places_file",
    "BREACHED_PASSWORDS_FILE": "breached_passwords_file",
    "PASSWORD_MIB": "password_mib",
    "REGISTERS_URL": "registers_url",
    "XROAD_CLIENT": "xroad_client",
    "XROAD_PLACES": "xroad_places",
    "FACE_MATCH": "face_match",
    "SMTP_URL": "smtp_url",
    "SMTP_USER": "smtp_user",
    "SMTP_PASSWORD_FILE": "smtp_password_file",
    "MAIL_FROM": "mail_from",
    "TEXTS_URL": "texts_url",
    "TEXTS_TOKEN_FILE": "texts_token_file",
    "KEEP_USES_YEARS": "keep_uses_years",
    "KEEP_REFUSED_DAYS": "keep_refused_days",
    "ARCHIVE_AFTER_MONTHS": "archive_after_months",
    "ARCHIVE_DIR": "archive_dir",
    "LEDGER_POLICY": "ledger_policy",
    "REPORT_HOURS": "report_hours",
    "OVERSIGHT_KEY": "oversight_key",
    "SEALING_CLIENTS": "sealing_clients",
    "LEAVE_TO": "leave_to",
    "CONFIG": "config",
}
_X25519_BYTES = 32
DEFAULT_ISSUER = "http://localhost:8000"


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment and the file that ``SEN_CONFIG`` names.

    Raises:
        SettingsError: anything that should stop the start.
    """
    values = _raw_values(environment)
    secret_file = secret_path(values)
    csca_file, csca_crl_file = _card_authorities(values)
    return Settings(
        issuer=_issuer(values.get("issuer", DEFAULT_ISSUER)),
        database_url=_database_url(values),
        data_dir=data_dir(values),
        secret=read_secret(secret_file),
        proxy_hops=_count(values, "proxy_hops", 0, most=10),
        workers=_count(values, "workers", 1, most=64, least=1),
        extra_ca_file=_existing("EXTRA_CA_FILE", values.get("extra_ca_file")),
        csca_file=csca_file,
        csca_crl_file=csca_crl_file,
        data_centres_file=_networks("DATA_CENTRES_FILE", values.get("data_centres_file")),
        network_places_file=_places("NETWORK_PLACES_FILE", values.get("network_places_file")),
        breached_passwords_file=_sorted_hashes(
            "BREACHED_PASSWORDS_FILE", values.get("breached_passwords_file")
        ),
        fido_root_file=_existing("FIDO_ROOT_FILE", values.get("fido_root_file")),
        outbound_allow=_hosts(values.get("outbound_allow", "")),
        password_mib=_count(values, "password_mib", LEAST_MIB, most=1024, least=LEAST_MIB),
        registers_url=_registers_url(values),
        xroad_client=_xroad_client(values),
        xroad_places=_xroad_places(values.get("xroad_places", "")),
        face_match=_face_match(values),
        mail=_mail(values),
        texts_url=_texts_url(values),
        texts_token=_credential("TEXTS_TOKEN_FILE", values.get("texts_token_file")),
        ledger_policy=_ledger_policy(values.get("ledger_policy")),
        report_within=timedelta(hours=_count(values, "report_hours", 24, most=9999, least=1)),
        oversight_key=_oversight_key(values),
        sealing_clients=frozenset(values.get("sealing_clients", "").split(",")) - {""},
        leave_to=_leave_to(values.get("leave_to", Settings.leave_to)),
        retention=Retention(
            _count(values, "keep_uses_years", 5, most=100, least=5),
            timedelta(days=_count(values, "keep_refused_days", 730, most=9999, least=30)),
            # The pages tell of the last twelve months, which are never to be looked for in files.
            _count(values, "archive_after_months", 13, most=1200, least=13),
        ),
        archive_dir=Path(values["archive_dir"]).resolve() if "archive_dir" in values else None,
    )


def raw_settings(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the settings as texts, before the secret exists (``sen init`` makes it)."""
    return _raw_values(environment)


def data_dir(values: Mapping[str, str]) -> Path:
    """Return the folder for the embedded database, the secret and logs."""
    return Path(values.get("data_dir", "var")).resolve()


def secret_path(values: Mapping[str, str]) -> Path:
    """Return the path of the installation's secret."""
    if "secret_file" in values:
        return Path(values["secret_file"])
    return data_dir(values) / "secret"


def _raw_values(environment: Mapping[str, str] | None) -> dict[str, str]:
    source = os.environ if environment is None else environment
    given = {k.removeprefix(PREFIX): v for k, v in source.items() if k.startswith(PREFIX)}
    for name in given:
        if name not in _KNOWN:
            known = ", ".join(sorted(PREFIX + known for known in _KNOWN))
            raise SettingsError(f"{PREFIX}{name} is not a setting; the settings are {known}")
    values = _from_file(given["CONFIG"]) if given.get("CONFIG") else {}
    values.update({_KNOWN[name]: value for name, value in given.items() if value})
    return values


def _from_file(path: str) -> dict[str, str]:
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"SEN_CONFIG: {path} cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"SEN_CONFIG: {path} is not valid TOML ({error})") from error
    unknown = set(document) - set(_KNOWN.values())
    if unknown:
        raise SettingsError(f"{path}: unknown setting {sorted(unknown)[0]!r}")
    return {
        key: ",".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in document.items()
    }


def _leave_to(text: str) -> str:
    parts = urlsplit(text)
    if (
        not text.isascii()
        or not text.isprintable()
        or " " in text
        or ";" in text
        or not (parts.hostname and (parts.scheme == "https" or is_loopback(parts.hostname)))
    ):
        raise SettingsError(f"SEN_LEAVE_TO={text!r} must be an https address")
    return text


def _issuer(text: str) -> str:
    parts = urlsplit(text)
    if not re.fullmatch(
        r"https?://([a-z0-9.\-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?(/.*)?", text, re.ASCII
    ):
        raise SettingsError(
            f"SEN_ISSUER={text!r} must be an http or https URL with a lower-case host, "
            "without user or wildcard"
        )
    if not parts.hostname:
        raise SettingsError(f"SEN_ISSUER={text!r} names no host")
    if parts.query or parts.fragment or parts.path not in {"", "/"}:
        raise SettingsError("SEN_ISSUER must be scheme, host and port only, without a path")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise SettingsError(
            "SEN_ISSUER must use https: plain http is allowed on localhost only, for trying out"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _database_url(values: Mapping[str, str]) -> str:
    url = values.get("database_url") or f"sqlite:///{data_dir(values) / 'sen.db'}"
    if not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
        raise SettingsError("SEN_DATABASE_URL must begin with sqlite:/// or postgresql://")
    return re.sub(r"^postgresql://", "postgresql+psycopg://", url)


def read_secret(path: Path) -> bytes:
    """Return the secret in the file.

    Raises:
        SettingsError: it cannot be read, is no base64, or is weak.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise SettingsError(
            f"the secret file {path} cannot be read ({error.strerror}); "
            "'sen init' makes one, or point SEN_SECRET_FILE at yours"
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"the secret file {path} must hold base64 text") from error
    try:
        secret = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise SettingsError(f"the secret file {path} must hold base64 text") from error
    if len(secret) < LEAST_SECRET_BYTES or len(set(secret)) < LEAST_SECRET_BYTES // 2:
        raise SettingsError(
            f"the secret in {path} is weak: it needs at least {LEAST_SECRET_BYTES} random bytes, "
            "for example from 'openssl rand -base64 48'"
        )
    return secret


def _count(values: Mapping[str, str], name: str, default: int, *, most: int, least: int = 0) -> int:
    text = values.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not least <= int(text) <= most:
        raise SettingsError(f"SEN_{name.upper()}={text!r} must be a number, {least} to {most}")
    return int(text)


def _existing(name: str, text: str | None) -> Path | None:
    if not text:
        return None
    path = Path(text)
    if not path.is_file():
        raise SettingsError(f"SEN_{name}: there is no file {text}")
    return path


def _sorted_hashes(name: str, text: str | None) -> Path | None:
    path = _existing(name, text)
    if path is None:
        return None
    with path.open("rb") as file:
        first = file.readline(64).strip()
    if not re.fullmatch(rb"[0-9A-Fa-f]{40}(:[0-9]+)?", first):
        raise SettingsError(f"SEN_{name}: {path} is no list of SHA-1 hashes")
    return path


def _networks(name: str, text: str | None) -> Path | None:
    path = _existing(name, text)
    if path is None:
        return None
    try:
        for line in path.read_text("utf-8").splitlines():
            if part := line.partition("#")[0].strip():
                ip_network(part, strict=False)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"SEN_{name}: {path} cannot be read as text") from error
    except ValueError as error:
        raise SettingsError(f"SEN_{name}: {error} in {path}") from error
    return path


def _places(name: str, text: str | None) -> Path | None:
    path = _existing(name, text)
    try:
        read_places(path)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"SEN_{name}: {path} cannot be read as text") from error
    except (ValueError, csv.Error) as error:
        raise SettingsError(f"SEN_{name}: {error} in {path}") from error
    return path


def _card_authorities(values: Mapping[str, str]) -> tuple[Path | None, Path | None]:
    certificates = _existing("CSCA_FILE", values.get("csca_file"))
    revocations = _existing("CSCA_CRL_FILE", values.get("csca_crl_file"))
    if certificates is None:
        if revocations is not None:
            raise SettingsError("SEN_CSCA_CRL_FILE needs SEN_CSCA_FILE, whose lists these are")
        return None, None
    try:
        Trust.read(certificates, revocations)
    except (OSError, ValueError) as error:
        raise SettingsError(
            "SEN_CSCA_FILE and SEN_CSCA_CRL_FILE must hold certificates and revocation lists "
            f"in PEM ({error})"
        ) from error
    return certificates, revocations


def _hosts(text: str) -> frozenset[str]:
    hosts = frozenset(part.strip() for part in text.split(",") if part.strip())
    for host in hosts:
        if not re.fullmatch(r"[A-Za-z0-9.\-]+(:[0-9]{1,5})?", host, re.ASCII):
            raise SettingsError(f"SEN_OUTBOUND_ALLOW: {host!r} is not host or host:port")
    return hosts


def _registers_url(values: Mapping[str, str]) -> str | None:
    text = values.get("registers_url")
    if not text:
        return None
    if not re.fullmatch(r"https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?/?", text, re.ASCII):
        raise SettingsError(
            f"SEN_REGISTERS_URL={text!r} must be the address of the security server, "
            "scheme, host and port only"
        )
    parts = urlsplit(text)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise SettingsError("SEN_REGISTERS_URL must use https, except on localhost")
    if not values.get("xroad_client"):
        raise SettingsError(
            "SEN_REGISTERS_URL needs SEN_XROAD_CLIENT, who you are on X-Road: "
            "instance/class/member/subsystem"
        )
    return text.rstrip("/")


def _mail(values: Mapping[str, str]) -> MailServer | None:
    text = values.get("smtp_url")
    if not text:
        return None
    found = re.fullmatch(r"(smtps?)://([A-Za-z0-9.\-]+)(?::([0-9]{1,5}))?/?", text, re.ASCII)
    if found is None:
        raise SettingsError("SEN_SMTP_URL must be smtp://host:port or smtps://host:port, no user")
    sender = values.get("mail_from", "")
    if not is_address(sender):
        raise SettingsError("SEN_SMTP_URL needs SEN_MAIL_FROM, the address that notices come from")
    is_tls = found[1] == "smtps"
    return MailServer(
        host=found[2],
        port=int(found[3] or (465 if is_tls else 587)),
        sender=sender,
        is_tls=is_tls,
        is_plain=not is_tls and is_loopback(found[2]),
        user=values.get("smtp_user", ""),
        password=_credential("SMTP_PASSWORD_FILE", values.get("smtp_password_file")),
        extra_ca_file=_existing("EXTRA_CA_FILE", values.get("extra_ca_file")),
    )


def _ledger_policy(path: str | None) -> Policy | None:
    file = _existing("LEDGER_POLICY", path)
    if file is None:
        return None
    try:
        policy = Policy.parse(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, PolicyError) as error:
        raise SettingsError(f"SEN_LEDGER_POLICY: {file} is no policy ({error})") from error
    if policy.logs:
        raise SettingsError(
            "SEN_LEDGER_POLICY must name no log: the logs' keys are this server's own"
        )
    for one in policy.cosigners.values():
        parts = urlsplit(one.url)
        is_plain = parts.scheme == "http" and is_loopback(parts.hostname or "")
        if not parts.hostname or parts.username or not (parts.scheme == "https" or is_plain):
            raise SettingsError(
                f"SEN_LEDGER_POLICY: {one.name} needs an https address (http on localhost only)"
            )
    return policy


def _texts_url(values: Mapping[str, str]) -> str | None:
    text = values.get("texts_url")
    if not text:
        return None
    parts = urlsplit(text)
    is_plain = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if not parts.hostname or parts.username or not (parts.scheme == "https" or is_plain):
        raise SettingsError(
            "SEN_TEXTS_URL must be an https address without a user (http on localhost only)"
        )
    return text


def _oversight_key(values: Mapping[str, str]) -> bytes | None:
    text = values.get("oversight_key")
    if text is None:
        if values.get("sealing_clients"):
            raise SettingsError("SEN_SEALING_CLIENTS needs SEN_OVERSIGHT_KEY: sealed for whom?")
        return None
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _X25519_BYTES:
        raise SettingsError("SEN_OVERSIGHT_KEY must be what 'sen oversight key' prints")
    return key


def _credential(name: str, path: str | None) -> str:
    """Return what the file holds: a password has no place in an environment."""
    file = _existing(name, path)
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"SEN_{name}: {file} cannot be read as text") from error


def _xroad_client(values: Mapping[str, str]) -> str:
    text = values.get("xroad_client", "")
    if text and not is_subsystem(text):
        raise SettingsError(
            f"SEN_XROAD_CLIENT={text!r} must be instance/class/member/subsystem, "
            "like VN/GOV/MPS/sen-id"
        )
    return text


def _face_match(values: Mapping[str, str]) -> str:
    text = values.get("face_match", "")
    if text and not is_subsystem(text):
        raise SettingsError(
            f"SEN_FACE_MATCH={text!r} must be instance/class/member/subsystem, "
            "like VN/GOV/MPS/face-match"
        )
    if text and not values.get("registers_url"):
        raise SettingsError("SEN_FACE_MATCH needs SEN_REGISTERS_URL, by which it is reached")
    return text


def _xroad_places(text: str) -> dict[str, str]:
    known = {service.source.value for service in SERVICES}
    places = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, _, place = part.partition("=")
        if name not in known or not is_subsystem(place):
            raise SettingsError(
                f"SEN_XROAD_PLACES: {part!r} is not register=instance/class/member/subsystem; "
                f"the registers are {', '.join(sorted(known))}"
            )
        places[name] = place
    return places
