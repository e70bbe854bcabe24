"""The verifying page, saved and opened without a network: it says what the command says."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from bench.drills import Base
from consent.ledger import verify
from idp import ledger
from idp.ledger import VERIFYING_PAGE
from tests.support.forgeries import FORGERIES


@pytest.mark.parametrize("language", ["vi", "en"])
def test_a_proof_is_verified_offline(chromium: Browser, tmp_path: Path, language: str) -> None:
    base = Base(tmp_path / "base")
    with base.copied() as place:
        bundle = place.bundle(place.victim)
        policy, moment = ledger.policy(place.installation), place.now
    now = int(moment.timestamp())
    saved, file = tmp_path / "verify.html", tmp_path / "proof.json"
    saved.write_bytes(VERIFYING_PAGE.read_bytes())
    file.write_text(json.dumps(bundle))
    context = chromium.new_context(
        offline=True, locale=language, viewport={"width": 390, "height": 800}
    )
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.clock.set_fixed_time(moment)
    page.goto(saved.as_uri())
    answer = page.locator("#answer")
    page.click("#verify")
    expect(answer).to_have_text(
        {"vi": "Hãy chọn tệp bằng chứng.", "en": "Choose the proof first."}[language]
    )
    page.set_input_files("#bundle", file)
    page.fill("#policy", policy.text)
    page.click("#verify")
    (told,) = verify.tell(verify.check(bundle, now=now, policy=policy), now, language)
    expect(answer).to_have_text(told)
    expect(answer).to_have_class("good")
    # Every forgery has the same name here and there, and the same words.
    for name, forge, _ in FORGERIES:
        forged = json.loads(file.read_text())
        forge(forged)
        verdict = verify.check(forged, now=now, policy=policy)
        found = page.evaluate(
            "async ([bundle, now, policyText, language]) => {"
            " const verdict = await check(bundle, { now, policyText });"
            " return [verdict.failed, tell(verdict, language, true)]; }",
            [forged, now, policy.text, language],
        )
        assert (name, *found) == (name, verdict.failed, verify.tell(verdict, now, language))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults == []
    context.close()
