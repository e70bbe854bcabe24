#!/usr/bin/env bash
# Make .venv from a lock file and put the `sen` command into it; touches nothing else. A stamp keeps
# the checksum of the lock, so that a second run costs nothing.
#
# LOCK=requirements.lock leaves the tools of developers out; PYTHON chooses the interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/setup/say.sh

LOCK=${LOCK:-requirements-dev.lock}
STAMP=.venv/.installed
LOG=.venv/install.log

# The first Python that is new enough and makes virtual environments, or nothing. The system's own
# comes first: it gets security updates, and its build is optimised by profile, which makes it half
# again as fast as one compiled with the defaults.
find_python() {
    local name
    for name in ${PYTHON:-/usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11}; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && has_venv "$name"; then
            printf '%s' "$name"
            return
        fi
    done
}

# Debian splits the parts of Python that make virtual environments into a package of their own.
has_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    can_install && [ "${1#/usr/bin/}" != "$1" ] || return
    local version
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    (install_packages "${TMPDIR:-/tmp}/sen-apt.log" "python$version-venv") || return
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

# A moved or copied clone keeps a .venv whose scripts point elsewhere: it must be made again.
is_usable() {
    .venv/bin/python -c '' 2>/dev/null || return
    [ ! -f "$STAMP" ] || [ "$(sed 's/^[0-9]* [0-9]* //' "$STAMP")" = "$PWD" ]
}

# The packages of this clone are found through a path file: no build, so nothing but the lock is
# downloaded, and a change in the source counts at once. The `sen` command is a shell script
# because the first line of a script cannot name an interpreter whose path has a space.
link_clone() {
    .venv/bin/python - <<'PYTHON'
import pathlib, shlex, sys, sysconfig

root = pathlib.Path.cwd()
pathlib.Path(sysconfig.get_path("purelib"), "sen-id.pth").write_text(f"{root}\n", encoding="utf-8")
command = pathlib.Path(".venv/bin/sen")
python = shlex.quote(str(root / ".venv" / "bin" / "python"))
command.write_text(f'#!/bin/sh\nexec {python} -P -m idp.cli "$@"\n', encoding="utf-8")
command.chmod(0o755)
PYTHON
}

wanted="$(cksum <"$LOCK") $PWD"
if is_usable && [ "$(cat "$STAMP" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

if ! is_usable; then
    python=$(find_python)
    [ -n "$python" ] || give_up "Python 3.11 or newer with its venv module is needed; install it (on Debian or Ubuntu: apt-get install python3 python3-venv)."
    # Someone else's folder behind a link would be cleared with everything in it.
    [ ! -L .venv ] || rm .venv
    say "making .venv"
    "$python" -m venv --clear .venv 2>/dev/null || give_up "could not make .venv in this folder (is it writable, is the disk full?)."
fi

say "installing the packages of $LOCK (a minute or two the first time)"
.venv/bin/python -m pip install --disable-pip-version-check --no-input --retries 2 --timeout 30 \
    --only-binary :all: --require-hashes -r "$LOCK" >"$LOG" 2>&1 </dev/null ||
    give_up "could not install the packages of $LOCK; check the network connection (what pip said is in $LOG)."

link_clone
printf '%s\n' "$wanted" >"$STAMP"
