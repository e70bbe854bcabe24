"""The proof of all uses: what a person downloads is confirmed by others and verified without us."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consent.data_use import Channel
from consent.ledger import verify
from consent.ledger.epoch import Epoch
from consent.ledger.policy import Policy
from idp import ledger
from idp.ledger import Keeper
from tests.support.browser import Browser, Page
from tests.support.forgeries import FORGERIES, retell
from tests.support.server import free_port
from tests.support.watchers import NAMES, Watchers, over_loopback, watch
from tests.support.world import World

pytestmark = pytest.mark.parametrize("kind", ["sqlite"])
Bundle = dict[str, Any]


def fetch_of(world: World) -> Callable[[str, Any], bytes]:
    client = world.client()

    def fetch(path: str, authorize: Any) -> bytes:
        whole = f"/ledger/{path}"
        headers = {"Authorization": authorize(whole)} if authorize else {}
        answer = client.get(whole, headers=headers)
        if answer.status_code != 200:
            raise OSError(f"{whole}: {answer.status_code}")
        return answer.content

    return fetch


@pytest.fixture
def watchers(world: World) -> Iterator[Watchers]:
    yield (made := watch(world.installation, fetch_of(world)))
    for one in made.ones.values():
        one.close()


def keep(world: World, watchers: Watchers) -> None:
    """Take what is new, and have it cosigned."""
    with world.installation.engine.begin() as db:
        said = ledger.policies(world.installation, db)
    ledger.sequencer(world.installation).run_once(said)
    watchers.cosigning().gather()


def download(browser: Browser) -> Page:
    return browser.submit(browser.open("/me/uses/proof").form("/me/uses/proof"), "download-proof")


def proof(browser: Browser) -> Bundle:
    page = download(browser)
    assert page.status == 200
    found: Bundle = json.loads(page.html)
    return found


def now(world: World) -> int:
    return int(world.installation.clock().timestamp())


def failed(world: World, bundle: Bundle, **more: Any) -> str:
    return verify.check(bundle, now=now(world), **more).failed


def test_a_person_verifies_that_nothing_is_missing(world: World, tmp_path: Path) -> None:
    """Three witnesses and three auditors on loopback; the verifier is a program of its own."""
    world.arrive("portal", "openid name contact").tokens()
    ports = {name: free_port() for name in NAMES}
    with over_loopback(world.installation, fetch_of(world), ports) as watchers:
        keeper = Keeper()
        kept = keeper(world.installation)
        assert kept.gathered is not None
        assert (kept.gathered.refused, watchers.evidence()) == ({}, {})
        assert kept.gathered.standing is not None
        assert kept.gathered.standing.is_quorum
        browser = world.sign_in()
        assert "3 of 3 independent witnesses and 3 of 3 auditors" in browser.open("/me/uses").text
        bundle = proof(browser)
        keeper.close()
    with world.transaction() as services:
        entries = services.use_log.of_subject(world.subject_in(services, "lan"))
    # Making the proof is a use as well: the next one.
    assert entries[0].use.channel is Channel.EXPORT
    assert len(bundle["entries"]) == len(entries) - 1
    path, trusted = tmp_path / "proof.json", tmp_path / "policy"
    path.write_text(json.dumps(bundle))
    trusted.write_text(ledger.policy(world.installation).text)
    # It needs none of our packages but the pure ones: everything else is forbidden to it.
    program = (
        "import sys; sys.modules.update(dict.fromkeys("
        "['sqlalchemy','orjson','flask','idp','accounts','connectors','consent.data_use']));"
        "from consent.ledger.verify import main; raise SystemExit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), "--policy", str(trusted), "--language", "en"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    uses = len(bundle["entries"])
    assert done.stdout.startswith(
        f"{uses} uses, none missing, none changed, confirmed by 3 of 3 witnesses and 3 of 3 auditors "
    )


def test_every_change_of_a_proof_is_told(world: World, watchers: Watchers) -> None:
    """consent.md 4.1 and measure 14, by whoever verifies: what is shown is not what was confirmed."""
    for _ in range(3):
        world.arrive("portal", "openid name").tokens()
    keep(world, watchers)
    bundle = proof(world.sign_in())
    text, trusted = json.dumps(bundle), ledger.policy(world.installation)
    assert failed(world, bundle, policy=trusted) == ""
    for name, change, expected in FORGERIES:
        changed = json.loads(text)
        change(changed)
        assert (name, failed(world, changed, policy=trusted)) == (name, expected)
        for language in verify.LANGUAGES:
            verdict = verify.check(changed, now=now(world), policy=trusted)
            assert verify.tell(verdict, now(world), language)[0]
    # A policy made up by the log is another's.
    own = Policy.parse("".join(f"log {key}\n" for key in trusted.logs) + "quorum none\n")
    assert failed(world, bundle | {"policy": own.text}) == ""
    assert verify.check(bundle | {"policy": own.text}, now=now(world)).policy != trusted
    assert failed(world, bundle | {"policy": own.text}, policy=trusted) == ""


def test_a_replayed_state_is_told_by_its_age(world: World, watchers: Watchers) -> None:
    """consent.md measure 14: checkpoint replay."""
    keep(world, watchers)
    bundle = proof(world.sign_in())
    world.tick(days=2)
    verdict = verify.check(bundle, now=now(world))
    assert verdict.failed == "old"
    assert "2 days" in verify.tell(verdict, now(world), "en")[0]
    assert "2 ngày" in verify.tell(verdict, now(world), "vi")[0]


def test_an_older_proof_shows_what_was_rewritten(world: World, watchers: Watchers) -> None:
    """consent.md 4.1: a returning citizen, who kept count and head."""
    world.arrive("portal", "openid name").tokens()
    keep(world, watchers)
    browser = world.sign_in()
    older = proof(browser)
    keep(world, watchers)
    newer = proof(browser)
    assert failed(world, newer, previous=older) == ""
    retell(older, 0, client_id="other")
    assert failed(world, newer, previous=older) == "rewritten"
    minh = world.sign_in("minh")
    keep(world, watchers)
    assert failed(world, newer, previous=proof(minh)) == "previous-of-another"


def test_without_a_quorum_the_page_and_the_proof_say_so(
    world: World, watchers: Watchers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("idp.proof.PATIENCE", 0.0)
    browser = world.sign_in()
    assert (
        browser.submit(
            browser.open("/me/uses/proof").form("/me/uses/proof"), "download-proof"
        ).status
        == 503
    )
    watchers.down |= {"a1", "a2"}
    keep(world, watchers)
    assert "too few independent witnesses" in browser.open("/me").text
    assert failed(world, proof(browser)) == "quorum"
    watchers.down.clear()
    keep(world, watchers)
    assert failed(world, proof(browser)) == ""


def test_who_was_away_is_asked_again_but_not_at_each_round(
    world: World, watchers: Watchers
) -> None:
    asked: list[str] = []
    post = watchers.post
    watchers.post = lambda url, body: (asked.append(url), post(url, body))[1]  # type: ignore[method-assign]
    gathering = watchers.cosigning()
    ledger.sequencer(world.installation).run_once()
    watchers.down |= {"a1", "w1"}
    assert set(gathering.gather().refused) == {"a1", "w1"}
    watchers.down.clear()
    asked.clear()
    assert gathering.gather().standing is None
    assert asked == []
    world.tick(seconds=5)
    done = gathering.gather()
    assert done.refused == {}
    assert done.standing is not None
    assert len({*done.standing.witnesses, *done.standing.auditors}) == 6
    # All agree: the root log alone is confirmed again, after half a minute.
    world.tick(seconds=29)
    assert gathering.gather().standing is None
    asked.clear()
    world.tick(seconds=1)
    assert gathering.gather().standing is not None
    assert len(asked) == 6


def test_a_proof_needs_a_fresh_sign_in_and_is_one_persons_own(
    world: World, watchers: Watchers
) -> None:
    """OB03: what others are told of is no address that could be guessed."""
    keep(world, watchers)
    browser = world.sign_in("minh")
    assert proof(browser)["subject"] == world.subject("minh")
    form = browser.open("/me/uses/proof").form("/me/uses/proof")
    world.tick(minutes=6)
    assert browser.submit(form, "download-proof").location.endswith("/sign-in?next=/me/uses/proof")
    assert world.browser().open("/me/uses/proof").status != 200


def test_an_entry_holds_no_value(world: World, watchers: Watchers) -> None:
    """Invariant 6: names of attributes, never what they are, nor where somebody came from."""
    world.arrive("portal", "openid name contact birth").tokens()
    keep(world, watchers)
    # The signatures beside them are chance, in which any three letters may stand.
    entries = proof(world.sign_in())["entries"]
    text = "\n".join(spelled for _, spelled in entries)
    lan = world.person("lan")
    assert "birthdate" in text
    for value in (lan.name, lan.number, lan.login, "lan@example.vn", "127.0.0.1"):
        assert value not in text


def test_removed_uses_keep_their_number(world: World, watchers: Watchers) -> None:
    """The chain goes on from where retention removed its beginning."""
    world.arrive("portal", "openid name").tokens()
    keep(world, watchers)
    world.tick(days=6 * 366)
    with world.transaction() as services:
        removed = services.use_log.purge(
            services.installation.clock().replace(year=world.installation.clock().year - 5),
            chains=50,
        )
    assert removed
    keep(world, watchers)
    browser = world.sign_in()
    keep(world, watchers)
    verdict = verify.check(proof(browser), now=now(world))
    assert verdict.is_good
    assert verdict.removed > 0
    assert "removed because the time" in verify.tell(verdict, now(world), "en")[1]


def test_the_public_part_names_nobody(world: World, watchers: Watchers) -> None:
    """consent.md 4.3: hashes only, and whose entry each is goes to auditors alone."""
    world.arrive("portal", "openid name").tokens()
    keep(world, watchers)
    client = world.client()
    with world.installation.engine.begin() as db:
        month = f"{world.installation.clock():%Y-%m}"
        size = next(log for log in ledger.LogState(db).logs().values() if month in log.name).size
    checkpoint = client.get(f"/ledger/entries/{month}/0/checkpoint")
    assert checkpoint.headers["Cache-Control"] == "public, max-age=1"
    entries = client.get(f"/ledger/entries/{month}/0/tile/entries/000.p/{size}")
    assert len(entries.content) == size * 34
    assert "immutable" in entries.headers["Cache-Control"]
    for path in (
        f"stream/entries/{month}/0/0.p/1",
        "entries/x/checkpoint",
        "root/tile/0/1",
        "root/tile/0/000.p/255",
    ):
        assert client.get(f"/ledger/{path}").status_code == (401 if "stream" in path else 404)
    forged = {"Authorization": "Sen-Auditor a1.example 1 AAAA"}
    assert client.get(f"/ledger/stream/entries/{month}/0/0.p/1", headers=forged).status_code == 401
    root = client.get("/ledger/root/tile/entries/000.p/1").content
    assert Epoch.parse(root[2:]).number == 0


def test_the_verifying_page_is_one_file_and_runs_nothing_else(
    world: World, watchers: Watchers
) -> None:
    keep(world, watchers)
    page = world.client().get("/verify")
    policy = page.headers["Content-Security-Policy"]
    assert page.text.count("<script") == page.text.count("<style") == 1
    assert "default-src 'none'" in policy
    assert policy.count("'sha256-") == 2
    assert "connect-src" not in policy
    assert "unsafe" not in policy
    with world.installation.engine.begin() as db:
        assert b"verifying-page" in ledger.LogState(db).tile("policy", -1, 0)
