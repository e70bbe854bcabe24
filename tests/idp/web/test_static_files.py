"""Files that never change are sent packed; pages, which hold secrets, are not."""

import pytest

from tests.support.stores import on_one_database
from tests.support.world import World

pytestmark = on_one_database
STYLE = "/static/css/sen.css"


def test_text_is_sent_packed_to_whoever_takes_it(world: World) -> None:
    client = world.client()
    plain = client.get(STYLE, headers={"Accept-Encoding": "identity"})
    packed = client.get(STYLE, headers={"Accept-Encoding": "br, gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    # The client has unpacked it by now.
    assert packed.content == plain.content
    assert int(packed.headers["Content-Length"]) < len(plain.content) / 3
    for answer in (plain, packed):
        assert "Accept-Encoding" in answer.headers["Vary"]
        assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
        assert answer.headers["Cache-Control"] == "public, max-age=3600"
    # Each way has a tag of its own, by which it is asked for again.
    assert plain.headers["ETag"] != packed.headers["ETag"]
    for taken, answer in (("identity", plain), ("gzip", packed)):
        known = {"Accept-Encoding": taken, "If-None-Match": answer.headers["ETag"]}
        again = client.get(STYLE, headers=known)
        assert (again.status_code, again.content) == (304, b"")
        assert "Accept-Encoding" in again.headers["Vary"]
    other = {"Accept-Encoding": "identity", "If-None-Match": packed.headers["ETag"]}
    assert client.get(STYLE, headers=other).status_code == 200


@pytest.mark.parametrize("accepts", ["gzip;q=0", "br", ""])
def test_who_does_not_take_it_gets_it_plain(world: World, accepts: str) -> None:
    answer = world.client().get(STYLE, headers={"Accept-Encoding": accepts})
    assert answer.status_code == 200
    assert "Content-Encoding" not in answer.headers


def test_what_is_packed_already_and_what_is_not_there(world: World) -> None:
    client = world.client()
    picture = client.get("/static/images/app-192.png", headers={"Accept-Encoding": "gzip"})
    assert picture.status_code == 200
    assert "Content-Encoding" not in picture.headers
    for path in ("css/none.css", "../app.py", "..%2fapp.py", "css/../../app.py", "/etc/passwd", ""):
        assert client.get(f"/static/{path}").status_code in {404, 405}


def test_no_page_is_packed_and_the_first_look_at_the_record_is_small(world: World) -> None:
    arrival = world.arrive("portal", "openid name birth")
    tokens = arrival.tokens()
    for n in range(60):
        arrival.party.userinfo(tokens.access)
        if n % 2:
            arrival.party.introspect(tokens.access)
    lan = world.sign_in("lan")
    taken = {"Accept-Encoding": "gzip"}
    page = lan.client.get("/me/uses", headers=taken)
    assert "Content-Encoding" not in page.headers
    linked = {
        part.split('"')[0].replace("&amp;", "&") for part in page.text.split('="/static/')[1:]
    }
    files = [lan.client.get(f"/static/{one}", headers=taken) for one in linked]
    assert all(one.status_code == 200 for one in files)
    size = sum(int(one.headers["Content-Length"]) for one in (page, *files))
    # consent.md 6, measure 5; but for the fonts, which browsers keep for a year.
    assert size <= 100 * 1024, size
