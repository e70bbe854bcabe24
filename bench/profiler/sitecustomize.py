"""A profiler that the benchmark puts on the server's path, active where BENCH_PROFILE is set.

Python runs `sitecustomize` when it starts. Every call of the WSGI application then runs under
cProfile as long as the file BENCH_PROFILE exists: the benchmark makes it while it measures. The
clock is the wall's, as a thread's CPU clock costs more than most functions; so the benchmark
profiles with one connection, where nobody waits but for the disk. Each thread writes its
statistics to BENCH_PROFILE-PROCESS-THREAD.prof once a second.
"""

import cProfile
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]

WRITE_SECONDS = 1.0


class ProfiledApplication:
    """A WSGI application that profiles the one it wraps, each thread for itself."""

    def __init__(self, application: Application, marker: Path) -> None:
        self._application = application
        self._marker = marker
        self._thread = threading.local()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        if not self._marker.exists():
            return self._application(environ, start_response)
        own = self._thread
        if not hasattr(own, "profile"):
            own.profile = cProfile.Profile()
            own.written = time.monotonic()
        try:
            answer: Iterable[bytes] = own.profile.runcall(
                self._application, environ, start_response
            )
            return answer
        finally:
            if time.monotonic() - own.written > WRITE_SECONDS:
                own.profile.dump_stats(f"{self._marker}-{os.getpid()}-{threading.get_ident()}.prof")
                own.written = time.monotonic()


def _begin(marker: Path) -> None:
    """Puts the profiler where granian takes the application."""
    # Only where it is wanted: every Python program started with this path runs this file.
    from granian.server import mp  # noqa: PLC0415

    wrap = vars(mp)["_wsgi_call_wrap"]

    def wrap_profiled(callback: Application, *rest: Any, **named: Any) -> Any:
        return wrap(ProfiledApplication(callback, marker), *rest, **named)

    vars(mp)["_wsgi_call_wrap"] = wrap_profiled


if "BENCH_PROFILE" in os.environ:
    _begin(Path(os.environ["BENCH_PROFILE"]))
