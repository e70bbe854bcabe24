#!/usr/bin/env bash
# Make sure that the programs which only the tests need are there: a browser with fonts for
# Vietnamese, a TLS front and a tool that makes certificates.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/setup/say.sh
PATH=$PATH:/usr/sbin:/sbin

missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v nginx >/dev/null || missing+=(nginx)
command -v openssl >/dev/null || missing+=(openssl)
[ -d /usr/share/fonts/truetype/noto ] || missing+=(fonts-noto-core)

[ ${#missing[@]} -eq 0 ] && exit 0
can_install || give_up "the tests need the system packages ${missing[*]}; install them (on Debian: apt-get install ${missing[*]})."
install_packages .venv/system.log "${missing[@]}"
