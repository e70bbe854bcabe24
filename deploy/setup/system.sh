#!/usr/bin/env bash
# Make sure that the programs which only the tests need are there: a browser with fonts for
# Vietnamese, a TLS front and a tool that makes certificates.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/setup/say.sh
PATH=$PATH:/usr/sbin:/sbin

# Debian has Chromium without windows too, which runs the stories in half of the time.
browser=chromium
grep -qs '^ID=debian$' /etc/os-release && browser=chromium-headless-shell

missing=()
command -v chromium-headless-shell chromium >/dev/null || missing+=("$browser")
command -v nginx >/dev/null || missing+=(nginx)
command -v openssl >/dev/null || missing+=(openssl)
[ -d /usr/share/fonts/truetype/noto ] || missing+=(fonts-noto-core)

if [ ${#missing[@]} -eq 0 ]; then
    # Where the one that is wanted cannot be had, the other does.
    if ! command -v "$browser" >/dev/null && can_install; then
        (install_packages .venv/system.log "$browser") || true
    fi
    exit 0
fi
can_install || give_up "the tests need the system packages ${missing[*]}; install them (on Debian: apt-get install ${missing[*]})."
install_packages .venv/system.log "${missing[@]}"
