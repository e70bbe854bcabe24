#!/usr/bin/env bash
# Forget the demo. Only the demo's own folder is removed, and not while the demo runs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/setup/say.sh

demo="${SEN_DATA_DIR:-var}/demo"
if [ ! -d "$demo" ]; then
    say "there is no demo data to forget."
    exit 0
fi
if [ -f "$demo/pid" ] && kill -0 "$(cat "$demo/pid")" 2>/dev/null; then
    give_up "the demo is running; stop it with Ctrl-C in its window, then reset it."
fi
rm -rf -- "$demo"
say "the demo is forgotten; make demo starts a new one."
