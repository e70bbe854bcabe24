"""`make demo`: it starts, tells where to go, keeps its people, and says plainly why it cannot."""

import fcntl
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.stories.site import ROOT, STOP_SECONDS

TOLD = (8000, 8101, 8102, 8110)
PORTS = (*TOLD, 8121, 8122, 8123, 8124)
START_SECONDS = 90.0


@pytest.fixture
def _alone() -> Iterator[None]:
    """Lets only one test at a time use the demo's ports, whichever worker it runs on."""
    with (Path(tempfile.gettempdir()) / "sen-demo-ports.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.usefixtures("_alone")
def test_a_taken_port_is_told_in_one_sentence(tmp_path: Path) -> None:
    with ExitStack() as held:
        for port in PORTS:
            _take(port, held)
        done = subprocess.run(
            [sys.executable, "-m", "idp.cli", "demo"],
            cwd=ROOT,
            env=_environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"sen: port 8000 is taken by another program; [^\n]+\n", done.stderr)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("_alone")
def test_the_demo_starts_tells_and_keeps_its_people(tmp_path: Path) -> None:
    with ExitStack() as held:
        if not all(_take(port, held) for port in PORTS):
            pytest.skip("something listens on the demo's ports already")
    first = _start_and_stop(tmp_path)
    for port in TOLD:
        assert f"http://localhost:{port}" in first
    for login in ("cong-dan-1", "nuoc-ngoai-1", "giam-doc-1", "cong-dan-2", "can-bo-1"):
        assert re.search(rf"{login} +[0-9A-Z-]{{14,}} ", first)
    assert _start_and_stop(tmp_path) == first


def _start_and_stop(folder: Path) -> str:
    """Run the demo until it has told everything, press Ctrl-C, and return what it told."""
    with subprocess.Popen(
        [sys.executable, "-m", "idp.cli", "demo"],
        cwd=ROOT,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        told, deadline = b"", time.monotonic() + START_SECONDS
        while b"Ctrl-C" not in told and time.monotonic() < deadline and demo.poll() is None:
            if select.select([demo.stdout], [], [], 0.2)[0]:
                told += os.read(demo.stdout.fileno(), 65536)
        demo.send_signal(signal.SIGINT)
        rest, complaints = demo.communicate(timeout=2 * STOP_SECONDS)
    assert demo.returncode == 0, complaints.decode()
    assert complaints == b""
    return (told + rest).decode()


def _take(port: int, held: ExitStack) -> bool:
    """Listen on the port while `held` is open; False when somebody else does already."""
    listener = held.enter_context(socket.socket())
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError:
        return False
    return True


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SEN_")}
    return {**kept, "SEN_DATA_DIR": str(folder)}
