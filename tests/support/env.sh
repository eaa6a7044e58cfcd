# shellcheck shell=bash
# env: what every script of the tests shares. Source it.
#
#   root, build        the source tree and its build directory (SLUICE_BUILD overrides)
#   pg_bin             PostgreSQL's programs
#   kit_begin [NAME]   a private directory $kit_dir; it and all that was started go when the script
#                      ends, however it ends
#   start NAME CMD...  runs CMD in the background, output in $kit_dir/NAME.log; its pid in $started
#   stop PID [SIGNAL]  ends it and waits
#   free_port VAR      a port that nobody listens on, another one each time
#   wait_port PORT PID until something listens there; fails when PID ends first, or after 20 s
#   start_postgres DIR PORT OPTION...   postgres.sh, until it takes sessions
#   unprivileged CMD   runs CMD as a user who is not root; it ends when its parent does
#   hand_over FILE...  gives files to that user
#   one_at_a_time CMD  runs CMD while no other test does so: for what installs into build/
#   install_moto       moto and boto3 from PyPI in $root/build/moto; fails where they cannot be had
#
# Servers refuse to run as root; when we are root they run as $server_user.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${SLUICE_BUILD:-$root/build}
[ "${build#/}" != "$build" ] || build=$root/$build
support=$root/tests/support
server_user=postgres

if [ -z "${pg_bin:-}" ]; then
    pg_bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1)
    [ -n "$pg_bin" ] || pg_bin=$(pg_config --bindir)
fi

say() { printf "%s\n" "$@"; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

is_root() { [ "$(id -u)" = 0 ]; }

# exec: the caller's pid becomes the server's, so that it can be signalled.
unprivileged() {
    local signal=${parent_gone_signal:-TERM}
    if is_root; then
        exec setpriv --reuid="$server_user" --regid="$server_user" --init-groups --pdeathsig "$signal" -- "$@"
    else
        exec setpriv --pdeathsig "$signal" -- "$@"
    fi
}

hand_over() { ! is_root || chown -R "$server_user:" "$@"; }

kit_begin() {
    kit_dir=$(mktemp -d "${TMPDIR:-/tmp}/sluice-${1:-kit}.XXXXXX")
    chmod 755 "$kit_dir"
    kit_pids=()
    trap kit_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

kit_end() {
    local status=$? at
    trap - EXIT
    trap '' INT TERM HUP
    for ((at = ${#kit_pids[@]} - 1; at >= 0; at--)); do # last started, first ended
        stop "${kit_pids[at]}"
    done
    rm -rf "$kit_dir"
    exit "$status"
}

# A subshell per program: a shell function (unprivileged ...) becomes the program by exec.
start() {
    local name=$1
    shift
    ("$@") >"$kit_dir/$name.log" 2>&1 </dev/null &
    started=$!
    kit_pids+=("$started")
}

stop() {
    local pid=$1 signal=${2:-TERM} tries
    kill -s "$signal" "$pid" 2>/dev/null || return 0
    for ((tries = 0; tries < 100; tries++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    kill -s KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}

one_at_a_time() {
    local status=0 lock
    mkdir -p "$root/build"
    exec {lock}>"$root/build/.installing"
    flock "$lock"
    "$@" || status=$?
    exec {lock}>&-
    return $status
}

install_moto() {
    local at=$root/build/moto
    [ ! -x "$at/bin/moto_server" ] || return 0
    python3 -m venv "$at" && "$at/bin/pip" install -q 'moto[server,proxy]' boto3 && return 0
    rm -rf "$at"
    return 1
}

# Below the range from which the kernel takes ports for outgoing connections.
SLUICE_TEST_PORTS=${SLUICE_TEST_PORTS:-27000-31999}

free_port() {
    local -n chosen=$1
    local first=${SLUICE_TEST_PORTS%-*} last=${SLUICE_TEST_PORTS#*-} tries
    : "${next_port=$((first + (RANDOM * 32768 + RANDOM) % (last - first + 1)))}"
    for ((tries = first; tries <= last; tries++)); do
        chosen=$next_port
        next_port=$((next_port < last ? next_port + 1 : first))
        port_answers "$chosen" || return 0
    done
    die "no free port in $SLUICE_TEST_PORTS"
}

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

wait_port() {
    local port=$1 pid=$2 tries
    for ((tries = 0; tries < 400; tries++)); do
        port_answers "$port" && return 0
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}

start_postgres() {
    local dir=$1 port=$2 tries
    start "${dir##*/}" "$support/postgres.sh" "$@"
    for ((tries = 0; tries < 400; tries++)); do
        ! "$pg_bin/pg_isready" -q -h "$dir" -p "$port" || return 0
        kill -0 "$started" 2>/dev/null || break
        sleep 0.05
    done
    cat "$kit_dir/${dir##*/}.log" >&2
    die "PostgreSQL did not start"
}
