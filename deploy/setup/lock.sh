#!/usr/bin/env bash
# Write requirements.lock (what the provider runs on) and requirements-dev.lock (that and the
# tools) from pyproject.toml: exact versions with hashes for every platform, without addresses.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/setup/say.sh

# The resolver is a tool of its own, kept out of .venv so that .venv holds only what the lock says.
UV=build/lock/bin/uv
if [ ! -x "$UV" ]; then
    .venv/bin/python -m venv build/lock
    build/lock/bin/python -m pip install --disable-pip-version-check --quiet --no-input uv ||
        give_up "could not install the resolver uv; check the network connection."
fi

compile() {
    "$UV" pip compile pyproject.toml --quiet --universal --generate-hashes --no-header --no-annotate \
        --python-version 3.11 ${UPGRADE:+--upgrade} "$@"
}
compile -o requirements.lock
# The dev lock starts from the first, so that both name the same versions.
compile -c requirements.lock --group dev -o requirements-dev.lock
