"""Runs the demo: the provider, two relying parties and the simulated registers, each a process of its
own on this machine.

Everything the demo keeps is in one folder, `demo` in the data folder: a second start finds the same
people, secrets and database. `make demo-reset` removes that folder.
"""

import hashlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from idp.demo import forked, people, watchers

PORTAL_PORT = 8101
BANK_PORT = 8102
REGISTERS_PORT = 8110
POPULATION = 2000
XROAD_CLIENT = "VN/GOV/MPS/sen-id"
FACE_MATCH = "VN/GOV/MPS/face-match"
AUDITOR_CLIENT = "VN/GOV/KTNN/audit"
"""Who may ask the demo's registers whether somebody exists, for opening audits."""
TELLS_EVERY_SECONDS = 20.0
"""So often the relying parties tell the provider what they hold and did (``idp.demo.holdings``)."""
READY_SECONDS = 60.0
STOP_SECONDS = 10.0
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PRIVATE = 0o600
SEED = "sen-demo-1"
# Without the letters and digits that are easily taken for one another.
CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"


class DemoError(Exception):
    """Why the demo cannot go on, in one sentence for the person who started it."""


@dataclass(frozen=True)
class Party:
    """One relying party of the demo."""

    client_id: str
    look: str
    port: int
    name: dict[str, str]
    welcome: dict[str, str]
    services: tuple[dict[str, str], ...]
    scope: str
    """What it asks for at each sign-in; these attributes come as a whole."""
    purpose: str
    representation_aware: bool = False
    optional_scope: str = ""
    """Scopes it registered for, but asks claims of one by one, as each person likes."""
    authorize_params: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.port}"

    def registration_at_provider(self, secret: str) -> dict[str, Any]:
        """Return what the provider knows of the party, for `sen seed`."""
        return {
            "client_id": self.client_id,
            "client_name": self.name["vi"],
            "client_name#en": self.name["en"],
            "redirect_uris": [f"{self.origin}/callback"],
            "post_logout_redirect_uris": [f"{self.origin}/signed-out"],
            "backchannel_logout_uri": f"{self.origin}/signed-out-afar",
            "backchannel_logout_session_required": True,
            "events_uri": f"{self.origin}/events",
            "token_endpoint_auth_method": "client_secret_basic",
            "client_secret": secret,
            "scope": f"{self.scope} {self.optional_scope}".strip(),
            "require_pkce": True,
            "purpose": self.purpose,
            "representation_aware": self.representation_aware,
            "id_token_signed_response_alg": "ES256",
        }

    def own_registration(self, issuer: str, secret: str) -> dict[str, Any]:
        """Return what the party itself knows."""
        return {
            "issuer": issuer,
            "client_id": self.client_id,
            "client_secret": secret,
            "redirect_uri": f"{self.origin}/callback",
            "scope": self.scope,
            "authorize_params": self.authorize_params,
            "name": self.name,
            "welcome": self.welcome,
            "services": self.services,
            "look": self.look,
            "purpose": self.purpose,
            "tells_every_seconds": TELLS_EVERY_SECONDS,
        }


PORTAL = Party(
    client_id="demo-portal",
    look="portal",
    port=PORTAL_PORT,
    name={
        "vi": "Cổng Dịch vụ công Quốc gia (trình diễn)",
        "en": "National Public Service Portal (demo)",
    },
    welcome={
        "vi": "Nộp hồ sơ, theo dõi kết quả và nhận thông báo từ cơ quan nhà nước ở một nơi.",
        "en": "Apply, follow your case and hear from public agencies, all in one place.",
    },
    services=(
        {"vi": "Đăng ký khai sinh", "en": "Register a birth"},
        {"vi": "Xác nhận thông tin về cư trú", "en": "Confirm where you live"},
        {"vi": "Đăng ký kinh doanh", "en": "Register a business"},
    ),
    scope="openid name birth offline_access represent",
    optional_scope="contact residence insurance",
    purpose="public-service",
    representation_aware=True,
    # What has no value here is voluntary (OpenID Connect Core §5.5.1).
    authorize_params={
        "claims": json.dumps({"userinfo": {"email": None, "phone_number": None, "address": None}})
    },
)
BANK = Party(
    client_id="demo-bank",
    look="bank",
    port=BANK_PORT,
    name={"vi": "Ngân hàng (trình diễn)", "en": "Bank (demo)"},
    welcome={
        "vi": "Mở tài khoản trong vài phút, không cần bản sao giấy tờ.",
        "en": "Open an account in minutes, without copies of your papers.",
    },
    services=(
        {"vi": "Tài khoản thanh toán", "en": "Current account"},
        {"vi": "Tiết kiệm", "en": "Savings"},
        {"vi": "Chuyển tiền", "en": "Transfers"},
    ),
    scope="openid name pid birth",
    purpose="banking",
    authorize_params={"acr_values": "urn:vn:eid:aal:1"},
)
PARTIES = (PORTAL, BANK)


@dataclass(frozen=True)
class Child:
    """A process of the demo, with the file that its output goes to."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path


def run(
    program: forked.Program,
    *,
    data_dir: Path,
    host: str = "localhost",
    port: int = 8000,
    workers: int = 1,
) -> int:
    """Run the demo until Ctrl-C or a termination signal; return the exit code.

    ``program`` is the command line itself, whose commands prepare what the processes need.
    """
    # Also SIGINT: a shell that starts us in the background has us ignore it.
    for number in STOPPING:
        signal.signal(number, _interrupt)
    try:
        ports = (*(party.port for party in PARTIES), REGISTERS_PORT, *watchers.PORTS.values())
        _check_ports((port, *ports))
        _run(program, data_dir / "demo", f"http://{host}:{port}", workers)
    except DemoError as error:
        sys.stderr.write(f"sen: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 0


def _run(program: forked.Program, folder: Path, issuer: str, workers: int) -> NoReturn:
    children: list[Child] = []
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Says to `make demo-reset` that the folder is in use.
    running = folder / "pid"
    _write(running, str(os.getpid()))
    try:
        credentials = _prepare(folder, issuer, partial(_sen, program, folder, issuer))
        _start(children, folder, issuer, workers)
        _wait_until_ready(children)
        sys.stdout.write(_table(issuer, credentials, folder))
        sys.stdout.flush()
        _watch(children)
    finally:
        _stop(children)
        running.unlink(missing_ok=True)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _check_ports(ports: Iterable[int]) -> None:
    for port in ports:
        # A program may listen on either of the two addresses that browsers take localhost for.
        if _answers("127.0.0.1", port) or _answers("::1", port) or not _can_listen(port):
            raise DemoError(
                f"port {port} is taken by another program; find it with "
                f"`ss -ltnp 'sport = :{port}'`, stop it, and start the demo again."
            )


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def _can_listen(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _prepare(folder: Path, issuer: str, sen: watchers.Sen) -> dict[str, str]:
    """Write what the processes need, and fill the provider's database; return the credentials."""
    if (folder / "secrets.json").exists() and not (folder / "people.json").exists():
        raise DemoError("the demo's data is of an older version; run `make demo-reset` once.")
    kept = _kept_secrets(folder / "secrets.json")
    if kept["people"].keys() != {role.login for role in people.ROLES}:
        raise DemoError("the demo's data is of an older version; run `make demo-reset` once.")
    seed = {
        "relying_parties": [
            party.registration_at_provider(kept["relying_parties"][party.client_id])
            for party in PARTIES
        ],
        **_chosen_people(folder, sen, kept["people"]),
    }
    _write_json(folder / "seed.json", seed)
    for party in PARTIES:
        secret = kept["relying_parties"][party.client_id]
        _write_json(folder / f"{party.look}.json", party.own_registration(issuer, secret))
    sen("init")
    _write(folder / "receipt-keys.json", sen("ledger", "receipt-keys"))
    watchers.prepare(folder, sen)
    _seed_once(folder, sen)
    return dict(kept["people"])


def _chosen_people(folder: Path, sen: watchers.Sen, credentials: dict[str, str]) -> dict[str, Any]:
    """Return who takes part, chosen from the registers at the first start and kept."""
    population, chosen = folder / "registers.db", folder / "people.json"
    if not population.exists():
        size = str(POPULATION)
        sen("registers", "generate", "--people", size, "--seed", SEED, str(population))

    def find(kind: str, gender: str, limit: int) -> list[dict[str, Any]]:
        told = sen(
            "registers", "people", str(population),
            "--kind", kind, "--gender", gender, "--limit", str(limit),
        )  # fmt: skip
        return [json.loads(line) for line in told.splitlines()]

    if not chosen.exists():
        _write_json(chosen, people.choose(find, credentials))
    return dict(json.loads(chosen.read_text("utf-8")))


def _seed_once(folder: Path, sen: watchers.Sen) -> None:
    """Load the seed document unless this very one was loaded before.

    Loading it again would undo what people changed since, such as a password.
    """
    document, loaded = folder / "seed.json", folder / "seed.loaded"
    digest = hashlib.sha256(document.read_bytes()).hexdigest()
    if loaded.exists() and loaded.read_text("ascii") == digest:
        return
    sen("seed", str(document))
    for role in people.ROLES:
        if role.office:
            place = ("--office", role.office, "--role", role.duty)
            sen("officer", "add", role.login, *place)
    _write(loaded, digest)


def _kept_secrets(path: Path) -> dict[str, dict[str, str]]:
    """Return the demo's secrets, made by chance at the first start."""
    if path.exists():
        return dict(json.loads(path.read_text("utf-8")))
    made = {
        "relying_parties": {party.client_id: secrets.token_urlsafe(32) for party in PARTIES},
        "people": {role.login: _groups(4 if role.has_password else 3) for role in people.ROLES},
    }
    _write_json(path, made)
    return made


def _groups(count: int) -> str:
    """Return groups of four letters, at least 59 bits of chance."""
    group = ("".join(secrets.choice(CODE_LETTERS) for _ in range(4)) for _ in range(count))
    return "-".join(group)


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    _write(path, json.dumps(document, ensure_ascii=False, indent=1) + "\n")


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "w") as file:
        file.write(text)
    new.replace(path)


def _environment(folder: Path, issuer: str) -> dict[str, str]:
    """Return this process's environment, with the demo's own settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SEN_")}
    # Made together with the registers: whoever signed the cards of the demo's people.
    authority = folder / "registers.db.csca.pem"
    policy = folder / watchers.POLICY
    return {
        **kept,
        **({"SEN_CSCA_FILE": str(authority)} if authority.exists() else {}),
        **({"SEN_LEDGER_POLICY": str(policy)} if policy.exists() else {}),
        "SEN_DATA_DIR": str(folder),
        "SEN_ISSUER": issuer,
        "SEN_OUTBOUND_ALLOW": ",".join(f"localhost:{party.port}" for party in PARTIES),
        "SEN_REGISTERS_URL": f"http://127.0.0.1:{REGISTERS_PORT}",
        "SEN_XROAD_CLIENT": XROAD_CLIENT,
        "SEN_FACE_MATCH": FACE_MATCH,
    }


def _sen(program: forked.Program, folder: Path, issuer: str, *arguments: str) -> str:
    """Run one `sen` command to its end and return what it told."""
    code, told, complaints = forked.run(program, arguments, _environment(folder, issuer))
    log = folder / "setup.log"
    with log.open("a", encoding="utf-8") as file:
        file.write(f"sen {' '.join(arguments)}\n{complaints}")
    if code != 0:
        last = (complaints.strip().splitlines() or ["it said nothing"])[-1]
        raise DemoError(f"`sen {arguments[0]}` failed: {last} (see {log}).")
    return told


def _start(children: list[Child], folder: Path, issuer: str, workers: int) -> None:
    port = int(issuer.rpartition(":")[2])
    population = str(folder / "registers.db")
    bind = f"127.0.0.1:{REGISTERS_PORT}"
    keys = str(folder / "receipt-keys.json")
    registers = [
        "idp.cli",
        "registers",
        "serve",
        population,
        "--bind",
        bind,
        "--receipt-keys",
        keys,
        "--auditor",
        AUDITOR_CLIENT,
    ]
    children.append(_child("registers", REGISTERS_PORT, registers, folder, issuer))
    provider = ["idp.cli", "serve", "--bind", f"127.0.0.1:{port}", "--workers", str(workers)]
    children.append(_child("provider", port, provider, folder, issuer))
    for name, watching, program in watchers.commands(folder, issuer):
        children.append(_child(name, watching, program, folder, issuer))
    for party in PARTIES:
        command = ["idp.demo.relying_party", str(folder / f"{party.look}.json")]
        children.append(_child(party.look, party.port, command, folder, issuer))


def _child(name: str, port: int, module: list[str], folder: Path, issuer: str) -> Child:
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        # A terminal sends Ctrl-C to the whole session: in one of its own, a child ends only when
        # this process ends it, in order.
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            env=_environment(folder, issuer),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return Child(name, port, process, log)


def _wait_until_ready(children: list[Child]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    waiting = list(children)
    while waiting:
        _check_alive(children)
        waiting = [child for child in waiting if not _is_ready(child)]
        if waiting and time.monotonic() > deadline:
            raise DemoError(f"the {waiting[0].name} did not start in time (see {waiting[0].log}).")
        time.sleep(0.1)


def _is_ready(child: Child) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", child.port, timeout=2)
    try:
        connection.request("GET", "/healthz", headers={"Host": f"localhost:{child.port}"})
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _watch(children: list[Child]) -> NoReturn:
    while True:
        _check_alive(children)
        time.sleep(0.5)


def _check_alive(children: list[Child]) -> None:
    for child in children:
        code = child.process.poll()
        if code is not None:
            raise DemoError(f"the {child.name} ended by itself with code {code} (see {child.log}).")


def _stop(children: list[Child]) -> None:
    """End every child this process started: kindly, then by force."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    for child in reversed(children):
        child.process.terminate()
    for child in reversed(children):
        try:
            child.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()


def _table(issuer: str, credentials: dict[str, str], folder: Path) -> str:
    """Return where to go and who can sign in, for the person who started the demo."""
    seed = json.loads((folder / "seed.json").read_text("utf-8"))
    names = {person["login"]: person["name"] for person in seed["people"]}
    company = seed["organisations"][0]
    lines = [
        "",
        "  Sen ID · trình diễn / demo",
        "",
        f"  {PORTAL.origin}   {PORTAL.name['vi']} / {PORTAL.name['en']}",
        f"  {BANK.origin}   {BANK.name['vi']} / {BANK.name['en']}",
        f"  {issuer:<21}   Sen ID: trang của tôi / my pages",
        f"  http://localhost:{REGISTERS_PORT}   Sáu cơ sở dữ liệu mô phỏng / six simulated registers",
        "",
        f"  {'Đăng nhập / login':<19} Mật khẩu, mã kích hoạt / password, activation code",
    ]
    for role in people.ROLES:
        how = "mật khẩu / password" if role.has_password else "mã dùng một lần / one-time code"
        lines.append(
            f"  {role.login:<19} {credentials[role.login]:<21}{how:<37}"
            f"{names[role.login]} ({role.what['vi']} / {role.what['en']})"
        )
    director, beginner = people.DIRECTOR.login, people.BEGINNER.login
    number = next(one["personal_number"] for one in seed["people"] if one["login"] == beginner)
    reader = (
        f"sen registers read-card {folder / 'registers.db'} --person {number} --url {issuer} --code"
    )
    own = next(
        one["personal_number"] for one in seed["people"] if one["login"] == people.CITIZEN.login
    )
    face = f"sen registers show-face {folder / 'registers.db'} face.png --person {own}"
    lines += [
        "",
        f"  {director}: {company['name']}, MST / tax code {company['tax_code']}",
        f"  {people.OFFICER.login}: {issuer}/desk, sau khi tạo khóa truy cập / after making a passkey",
        f"  {issuer}/verify: kiểm chứng, cùng 2 nhân chứng, 2 kiểm toán viên / verify, as 2 + 2 others do",
        f"  {people.CITIZEN.login}: mức độ 3, 4 khi có khóa truy cập / levels 3, 4 with a passkey: {face}",
        f"  {beginner}: chip thẻ căn cước / the card's chip: {reader} …",
        "  Ctrl-C: dừng / stop · make demo-reset: xóa dữ liệu / forget the data",
        "",
    ]
    return "\n".join(lines) + "\n"
