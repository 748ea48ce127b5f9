# What the scripts share. Sourced; expects `set -euo pipefail`.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Prints to stderr and ends with status 2 (wrong usage).
usage_error() {
    echo "${0##*/}: $*" >&2
    exit 2
}

need_cargo() {
    export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
    command -v cargo >/dev/null && return
    echo "${0##*/}: cargo is missing. Install Rust, then try again:" >&2
    echo "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" >&2
    exit 1
}

# Runs a command and shows what it printed only if it failed.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 || status=$?
    [ "$status" -eq 0 ] || cat "$log" >&2
    rm -f "$log"
    return "$status"
}

# The folder of libleak.so and leak-analyze once they are built.
build_dir() {
    echo "${CARGO_TARGET_DIR:-$root/target}/release"
}

# Builds both in the release profile. Two calls: in one, cargo would give both the same features of their common
# dependencies, and libleak.so must not have the standard library. leak-analyze is built without what only libleak.so
# needs: link-time optimisation makes reports 3 % faster and the build on two cores 1.7 times as long.
build() {
    need_cargo
    local cargo=(cargo build --manifest-path "$root/Cargo.toml" --release --locked)
    quietly "${cargo[@]}" -p libleak
    quietly "${cargo[@]}" -p leak-analyze --config 'profile.release.lto=false' \
        --config 'profile.release.codegen-units=16' --config 'profile.release.debug=false'
}

is_there() {
    case $1 in
    */*) [ -e "$1" ] ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

# Installs what is missing of a list of lines `COMMAND-OR-FILE PACKAGE` (Debian's packages), if this user may, and says so.
install_missing() {
    local list=$1 consequence=$2 thing package packages=()
    while read -r thing package; do
        [ -z "$thing" ] || is_there "$thing" || packages+=("$package")
    done <<<"$list"
    [ ${#packages[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "$consequence. They need: apt-get install ${packages[*]}"
        return 0
    fi
    echo "Installing what ${0##*/} compares with or runs: ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    quietly apt-get update || true
    quietly apt-get install --yes --no-install-recommends "${packages[@]}" ||
        echo "Not everything could be installed. $consequence."
}
