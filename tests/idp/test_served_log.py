"""What a served application writes when something fails inside it (security case LG01)."""

import json
import subprocess
import sys
from pathlib import Path

from sqlalchemy import create_engine, text

from tests.support import cast as people
from tests.support.browser import Browser, connect
from tests.support.server import ROOT, free_port, serving
from tests.support.stores import Templates, prepare

BREAK = "UPDATE account SET level = 'no such level'"
"""Nothing that can be read of an account any more: a fault that no code foresees."""


def test_lg01_a_fault_is_logged_without_anything_that_was_sent_or_held(
    templates: Templates, tmp_path: Path
) -> None:
    port = free_port()
    cast = people.make(f"http://localhost:{port}")
    lan = cast.people["lan"]
    with templates.copy("sqlite", empty=True) as url:
        prepare(url, tmp_path, cast)
        with serving(tmp_path, url, port, workers=1) as server:
            with connect(server.issuer, server.issuer) as client:
                browser = Browser(client, server.issuer)
                form = browser.open("/sign-in").form("/sign-in/password")
                browser.submit(form, login="lan", password=lan.password)
                cookies = [cookie.value or "" for cookie in client.cookies.jar]
                assert browser.open("/me").status == 200
                engine = create_engine(url)
                with engine.begin() as db:
                    db.execute(text(BREAK))
                engine.dispose()
                failed = browser.open("/me", **{"X-Test": lan.number})
                assert failed.status == 500
                assert "no such level" not in failed.html
                again = Browser(connect(server.issuer, server.issuer), server.issuer)
                form = again.open("/sign-in").form("/sign-in/password")
                refused = again.submit(form, login=lan.number, password=lan.password)
                assert refused.status == 500
                again.client.close()
            log = server.log
    lines = [line for line in log.splitlines() if '"unforeseen"' in line]
    assert len(lines) == 2
    for line in lines:
        told = json.loads(line)
        assert "idp/web" in told["exception"]
        assert told["exception"].endswith("ValueError")
    kept = [
        lan.password,
        lan.number,
        lan.name,
        "no such level",
        *(c for c in cookies if len(c) > 8),
    ]
    assert len(kept) > 5
    assert not [secret for secret in kept if secret in log]


PROGRAM = """
import logging, sys
from pathlib import Path
from idp.app import create_app
from idp.settings import Settings
app = create_app(Settings("https://id.sen.example", "sqlite:///{folder}/sen.db", Path("{folder}"), b"x" * 48))

@app.get("/fault")
def fault():
    hidden = "the secret itself"
    raise ValueError(f"about {{hidden}}")

answer = app.test_client().get("/fault", headers={{"Cookie": "sen_session=" + "ab" * 32}})
assert answer.status_code == 500, answer.status_code
logging.getLogger("some.library").warning("value was %s", "the secret itself")
"""
"""Makes the application as any WSGI server may, without this project's own entry point."""


def test_lg01_an_application_made_by_any_program_logs_as_safely(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(folder=tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert (
        "ValueError" in next(line for line in lines if line["event"] == "unforeseen")["exception"]
    )
    assert next(line for line in lines if line["event"] == "library")["said"] == "value was %s"
    assert "the secret itself" not in done.stderr
    assert "ab" * 32 not in done.stderr
