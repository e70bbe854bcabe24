"""Behind nginx with `deploy/nginx.conf`: a real TLS front, and what it must not let through."""

import http.client
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.stories.site import ROOT, Site, free_port
from tests.stories.visit import Visit

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
START_SECONDS = 10.0
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
STRANGER = "203.0.113.9"
SPOOFED = {
    "X-Forwarded-For": STRANGER,
    "X-Real-IP": STRANGER,
    "Forwarded": f"for={STRANGER};host=evil.example;proto=http",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Prefix": "/evil",
}

pytestmark = pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An installation that people reach through nginx only."""
    folder, port = tmp_path_factory.mktemp("tls"), free_port()
    certificate = _certificate(folder)
    site = Site(
        folder / "site",
        issuer=f"https://localhost:{port}",
        settings={"SEN_PROXY_HOPS": "1"},
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(_adapted(folder, port, site.port), "utf-8")
    with (folder / "nginx.err").open("wb") as log:
        nginx = subprocess.Popen(
            [NGINX, "-p", str(folder), "-c", str(configuration), "-g", "daemon off;"],
            stdin=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
    try:
        # The relying parties read the provider's documents through the front as well.
        site.start({"REQUESTS_CA_BUNDLE": str(certificate)})
        _wait_for(port, nginx, folder)
        yield site
    finally:
        site.stop()
        nginx.terminate()
        nginx.wait(START_SECONDS)


@pytest.fixture
def site(front: Site) -> Iterator[Site]:
    front.faults()
    yield front
    assert not front.faults()


@pytest.fixture
def visit(chromium: Browser, enter: Callable[..., Visit]) -> Visit:
    return enter(ignore_https_errors=True)


def test_she_signs_in_through_the_front_with_locked_down_cookies(site: Site, visit: Visit) -> None:
    citizen = site.person("passkey")
    visit.take_authenticator(citizen)
    visit.begin(site.portal)
    visit.use_passkey()
    visit.decide()
    visit.is_at(site.portal)
    assert visit.received()["name"] == citizen.name
    assert visit.received("id-token")["iss"] == site.provider

    ours = [c for c in visit.context.cookies(site.provider) if "sen_" in c["name"]]
    assert {c["name"] for c in ours} >= {"__Host-sen_browser", "__Host-sen_session"}
    for cookie in ours:
        assert cookie["name"].startswith("__Host-")
        assert cookie["secure"]
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Lax"
        assert cookie["path"] == "/"
        assert cookie["domain"] == "localhost"
    visit.press("sign-out")
    visit.is_at(site.portal)
    assert visit.notice() == "signed-out"


def test_spoofed_proxy_headers_change_nothing(site: Site, enter: Callable[..., Visit]) -> None:
    visit = enter(ignore_https_errors=True, extra_http_headers=SPOOFED)
    visit.sign_in_to_own_pages(site.person("password"))
    visit.go("/me/sessions")
    # Its network is told, by the first three parts.
    visit.sees("127.0.0")
    visit.sees_not(STRANGER)

    body = _get(site, "/.well-known/openid-configuration", SPOOFED)[2]
    assert b"evil" not in body
    assert site.provider.encode() in body


def test_strict_transport_security_is_said_once_and_headers_are_not_doubled(site: Site) -> None:
    for path in ("/", "/sign-in", "/nowhere", "/jwks"):
        _, headers, _ = _get(site, path)
        for name in ("strict-transport-security", "content-security-policy", "x-frame-options"):
            assert len([value for given, value in headers if given == name]) == 1, (path, name)
    assert ("strict-transport-security", "max-age=63072000; includeSubDomains") in headers


def test_the_front_answers_to_its_own_name_only(site: Site) -> None:
    status, _, body = _get(site, "/", {"Host": "evil.example"})
    assert status == 421
    assert b"Sen ID" not in body
    # A handshake for another name is not completed.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(ssl.SSLError):
        _handshake(site, context, "evil.example")


def test_old_tls_is_refused_and_operators_pages_stay_inside(site: Site) -> None:
    old = ssl.create_default_context()
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    assert _handshake(site, old, "localhost") in {"TLSv1.2", "TLSv1.3"}
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert _handshake(site, old, "localhost") == "TLSv1.2"
    old.set_ciphers("AES128-SHA:AES256-SHA")
    with pytest.raises(ssl.SSLError):
        _handshake(site, old, "localhost")
    assert [_get(site, path)[0] for path in ("/metrics", "/readyz")] == [404, 404]


def test_plain_http_only_leads_to_https(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", _plain_port(site), timeout=5)
    connection.request("GET", "/sign-in?next=/me", headers={"Host": "localhost"})
    answer = connection.getresponse()
    assert answer.status == 301
    assert (answer.getheader("Location") or "").startswith("https://localhost/sign-in?next=/me")
    connection.close()


def _plain_port(site: Site) -> int:
    text = (site.folder.parent / "nginx.conf").read_text("utf-8")
    found = re.search(r"listen 127\.0\.0\.1:(\d+);", text)
    assert found is not None
    return int(found.group(1))


def _adapted(folder: Path, port: int, upstream: int) -> str:
    """Return the shipped configuration with the addresses and paths of this machine, no more."""
    text = (ROOT / "deploy" / "nginx.conf").read_text("utf-8")
    plain = free_port()
    for old, new in (
        (r"^user .*;\n", ""),
        (r"^pid .*;", f"pid {folder}/nginx.pid;"),
        (r"/var/log/nginx", str(folder)),
        (r"^\s*listen \[::\].*;\n", ""),
        (r"listen 80\b", f"listen 127.0.0.1:{plain}"),
        (r"listen 443\b", f"listen 127.0.0.1:{port}"),
        (r"id\.example\.vn", "localhost"),
        (r"/etc/sen/tls/fullchain.pem", str(folder / "certificate.pem")),
        (r"/etc/sen/tls/privkey.pem", str(folder / "key.pem")),
        (r"server 127\.0\.0\.1:8000;", f"server 127.0.0.1:{upstream};"),
        (
            r"^http \{\n",
            "http {\n" + "".join(f"    {t}_temp_path {folder}/{t};\n" for t in TEMPORARY),
        ),
    ):
        text, times = re.subn(old, new, text, flags=re.MULTILINE)
        assert times, f"nothing in deploy/nginx.conf matches {old}"
    return text


def _certificate(folder: Path) -> Path:
    path = folder / "certificate.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            str(folder / "key.pem"),
            "-out",
            str(path),
        ],
        check=True,
        capture_output=True,
    )
    return path


def _wait_for(port: int, nginx: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            words = (folder / "nginx.err").read_text("utf-8")
            assert nginx.poll() is None, words
            assert time.monotonic() < deadline, words
            time.sleep(0.05)


def _get(
    site: Site, path: str, headers: dict[str, str] | None = None
) -> tuple[int, list[tuple[str, str]], bytes]:
    context = ssl.create_default_context(cafile=str(site.folder.parent / "certificate.pem"))
    port = int(site.provider.rpartition(":")[2])
    connection = http.client.HTTPSConnection("localhost", port, timeout=10, context=context)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return (
            answer.status,
            [(name.lower(), value) for name, value in answer.getheaders()],
            answer.read(),
        )
    finally:
        connection.close()


def _handshake(site: Site, context: ssl.SSLContext, name: str) -> str | None:
    port = int(site.provider.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        return secure.version()
