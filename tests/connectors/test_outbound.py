"""The one way out: only to the operator's list, quickly, and never further than asked."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.errors import OutboundRefusedError
from connectors.outbound import Outbound
from tests.support.canary import Canary, canary


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    with canary(tmp_path_factory.mktemp("canary")) as server:
        yield server


@pytest.fixture
def server(_server: Canary) -> Canary:
    _server.status, _server.headers, _server.body = 200, {}, b"{}"
    _server.drip_seconds = 0.0
    _server.hits.clear()
    _server.released.clear()
    return _server


def allowing(server: Canary, *hosts: str) -> Outbound:
    return Outbound(frozenset(hosts or {server.authority}), server.certificate)


def refuses(outbound: Outbound, url: str) -> bool:
    with pytest.raises(OutboundRefusedError):
        outbound.get(url)
    return True


def test_an_allowed_address_is_fetched(server: Canary) -> None:
    server.body = b'{"keys":[]}'
    assert allowing(server).get(server.url()) == server.body
    assert server.hits == ["/jwks"]


def test_rg02_an_address_that_is_not_allowed_is_never_called(server: Canary) -> None:
    port = server.port
    outbound = allowing(server, "other.example", HOST_WITHOUT_PORT)
    for url in (
        server.url(), f"https://127.0.0.1:{port}/", f"https://127.1:{port}/",
        f"https://2130706433:{port}/", f"https://0.0.0.0:{port}/", f"https://[::1]:{port}/",
        f"https://[::ffff:127.0.0.1]:{port}/", f"https://user@localhost:{port}/",
        f"https://other.example@localhost:{port}/", f"https://localhost:{port}#other.example",
        "https://169.254.169.254/", "https://10.0.0.1/", "",
    ):  # fmt: skip
        assert refuses(outbound, url)
    assert server.hits == []


HOST_WITHOUT_PORT = "localhost"


@pytest.mark.parametrize(
    "url",
    ["http://{}/", "ftp://{}/", "file:///etc/passwd", "//{}/", "https://{}@evil.example/",
     "https://user:pass@{}/", "https:{}", "https://", "https://[::1", "https://{}:99999/", "é"],
)  # fmt: skip
def test_only_plain_https_addresses_pass(server: Canary, url: str) -> None:
    assert refuses(allowing(server), url.format(server.authority))
    assert server.hits == []


def test_a_host_without_a_port_means_the_usual_one() -> None:
    outbound = Outbound(frozenset({"agency.example"}))
    assert outbound.permits("https://agency.example/jwks")
    assert outbound.permits("https://agency.example:443/jwks")
    assert not outbound.permits("https://agency.example:8443/jwks")
    assert not outbound.permits("https://sub.agency.example/jwks")
    assert not outbound.permits("https://agency.example.evil.example/jwks")
    assert not outbound.permits("https://agency.example./jwks")


def test_a_certificate_nobody_vouches_for_is_refused(server: Canary) -> None:
    assert refuses(Outbound(frozenset({server.authority})), server.url())


@pytest.mark.parametrize("status", [301, 302, 307, 404, 500, 204])
def test_a_redirect_is_not_followed_and_only_200_counts(server: Canary, status: int) -> None:
    server.status, server.headers = status, {"Location": server.url("/inside")}
    assert refuses(allowing(server), server.url())
    assert server.hits == ["/jwks"]


def test_a_long_answer_is_refused(server: Canary) -> None:
    server.body = b"x" * (256 * 1024 + 1)
    assert refuses(allowing(server), server.url())


def test_a_compressed_answer_is_measured_unpacked(server: Canary) -> None:
    import zlib  # noqa: PLC0415

    server.body = zlib.compress(b"x" * 5_000_000)
    server.headers = {"Content-Encoding": "deflate"}
    assert refuses(allowing(server), server.url())


def test_f25_an_answer_that_drips_is_given_up_after_three_seconds(server: Canary) -> None:
    server.drip_seconds, server.body = 0.2, b"x" * 60
    begun = time.monotonic()
    assert refuses(allowing(server), server.url())
    # All of it takes 12 seconds.
    assert time.monotonic() - begun < 9


def test_an_address_where_nobody_listens_is_refused(server: Canary) -> None:
    assert refuses(Outbound(frozenset({"127.0.0.1:9"})), "https://127.0.0.1:9/")


def test_proxies_of_the_environment_are_not_used(
    server: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert json.loads(allowing(server).get(server.url())) == {}


def test_an_empty_list_allows_nothing(tmp_path: Path) -> None:
    assert not Outbound().permits("https://localhost/")
