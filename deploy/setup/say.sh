# Shared by the scripts of this folder: how they speak and give up.

# One clear sentence on the error stream, then exit code 1.
give_up() {
    printf 'sen: %s\n' "$*" >&2
    exit 1
}

say() {
    printf 'sen: %s\n' "$*" >&2
}

# Whether Debian packages can be installed without asking anyone.
can_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

# install_packages LOG PACKAGE... : install Debian packages, or give up with one sentence.
install_packages() {
    log=$1
    shift
    export DEBIAN_FRONTEND=noninteractive
    say "installing the system packages: $*"
    # The package lists of a fresh machine are empty or old: refresh them before the second try only.
    if ! apt-get install -y --no-install-recommends "$@" >"$log" 2>&1 </dev/null; then
        { apt-get update && apt-get install -y --no-install-recommends "$@"; } >>"$log" 2>&1 </dev/null ||
            give_up "could not install $* (no network, or not in this system's package sources; what apt-get said is in $log)."
    fi
}
