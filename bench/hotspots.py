"""Reads what the profiler wrote and tells where the CPU time of our server's Python went."""

import pstats
from collections import Counter
from pathlib import Path

OURS = ("accounts", "connectors", "consent", "idp")
TOP = 45


def clear(marker: Path) -> None:
    """Removes what an earlier run wrote."""
    for file in marker.parent.glob(f"{marker.name}*"):
        file.unlink()


def _place(filename: str) -> str:
    """The path below site-packages or the standard library, or below the working directory."""
    if "/site-packages/" in filename:
        return filename.rpartition("/site-packages/")[2]
    if "/lib/python3" in filename:
        return "stdlib/" + filename.rpartition("/lib/python3")[2].partition("/")[2]
    if filename in ("~", ""):
        return "built-in"
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name


def _label(function: tuple[str, int, str]) -> str:
    filename, line, name = function
    place = _place(filename)
    return f"{place} {name}" if line == 0 else f"{place}:{line} {name}"


def summary(marker: Path) -> str:
    """Shares and calls a request: by package, by our functions with callees, by all functions.

    In the list by package, built-ins are charged to the package that calls them.
    """
    files = [str(file) for file in marker.parent.glob(f"{marker.name}-*.prof")]
    if not files:
        return "nothing was profiled"
    profile = pstats.Stats(*files)
    packages: Counter[str] = Counter()
    with_callees: Counter[str] = Counter()
    own_time: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    requests = 0
    for function, (_, count, own, total, callers) in profile.stats.items():  # type: ignore[attr-defined]
        label = _label(function)
        with_callees[label] += total
        own_time[label] += own
        calls[label] += count
        place = _place(function[0])
        if place == "built-in" and callers:
            for caller, figures in callers.items():
                packages[_place(caller[0]).split("/")[0]] += figures[2]
        else:
            packages[place.split("/")[0].removesuffix(".py")] += own
        if place == "flask/app.py" and function[2] == "wsgi_app":
            requests += count
    everything = sum(own_time.values())

    def rows(counts: Counter[str]) -> str:
        return "\n".join(
            f"{100 * seconds / everything:6.1f} %  {calls[label] / max(requests, 1):8.2f}  {label}"
            for label, seconds in counts.most_common(TOP)
        )

    ours = Counter(
        {label: used for label, used in with_callees.items() if label.split("/")[0] in OURS}
    )
    return (
        f"{requests} requests, "
        f"{1e6 * everything / max(requests, 1):.0f} us each under the profiler; "
        "columns: share of it, calls a request\n\n"
        f"by package, own time\n"
        + "\n".join(
            f"{100 * used / everything:6.1f} %  {name}" for name, used in packages.most_common(25)
        )
        + f"\n\nour functions, with all they call\n{rows(ours)}"
        + f"\n\nall functions, with all they call\n{rows(with_callees)}"
        + f"\n\nall functions, own time\n{rows(own_time)}"
    )
