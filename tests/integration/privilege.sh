#!/usr/bin/env bash
# privilege.sh: started as root, it becomes the configuration's user for good, or does not start;
# sockets handed by systemd; what it says to the service manager.
# shellcheck disable=SC2154 # ports are assigned by name (free_port)
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"

binary=${SLUICE:-$build/sluice}
kit_begin privilege
steps=0
ok() {
    steps=$((steps + 1))
    say "ok $steps - $1"
}
wants() { # NAME EXPECTED TEXT
    case $3 in
    *"$2"*) ok "$1" ;;
    *)
        say "not ok $((steps + 1)) - $1" "wanted \"$2\" in: $3"
        exit 1
        ;;
    esac
}
free_port port
free_port health
config() { # USER-LINE
    cat >"$kit_dir/sluice.json" <<JSON
{ "workers": 2, $1
  "listen": [ { "address": "127.0.0.1:$port" }, { "address": "unix:$kit_dir/socket" } ],
  "clusters": { "w": { "endpoint": "127.0.0.1:1", "tls": { "mode": "disable" },
                       "credentials": { "source": "static", "users": { "u": "env:HOME" } } } },
  "users": { "u": { "auth": ["trust"], "role": "all", "console": "operator" } },
  "roles": { "all": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": ["127.0.0.1"] } ],
  "health": { "address": "127.0.0.1:$health" } }
JSON
    chmod 644 "$kit_dir/sluice.json"
}
cp "$binary" "$kit_dir/sluice"

# ---- systemd's words, to a socket of ours -------------------------------------------------------------
listener() { # prints each datagram
    exec python3 -uc '
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
while True:
    print(s.recv(4096).decode().replace("\n", " "))' "$1"
}
hears() { # WORD
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        ! grep -q -- "$1" "$kit_dir/notify.log" || return 0
        sleep 0.05
    done
    say "not ok $((steps + 1)) - tells the service manager $1"
    cat "$kit_dir/notify.log" "$kit_dir"/*.log
    exit 1
}
config ''
chmod 777 "$kit_dir"
start notify listener "$kit_dir/notify"
for ((i = 0; i < 100; i++)); do [ ! -S "$kit_dir/notify" ] || break; sleep 0.05; done
export NOTIFY_SOCKET=$kit_dir/notify WATCHDOG_USEC=200000
start plain unprivileged "$kit_dir/sluice" run --config "$kit_dir/sluice.json"
plain=$started
hears READY=1
ok 'READY=1 once it listens'
wants 'and it does' live "$("$binary" health --address "127.0.0.1:$health")"
hears WATCHDOG=1
ok 'WATCHDOG=1 while all workers turn'
kill -HUP "$plain"
hears 'RELOADING=1 MONOTONIC_USEC=[0-9]'
ok 'RELOADING=1 with its time'
stop "$plain"
hears STOPPING=1
ok 'STOPPING=1'
unset NOTIFY_SOCKET WATCHDOG_USEC

# ---- socket activation: what connects while nobody serves is served later ----------------------------------
start activated python3 -c '
import os, socket, sys, time
port, health, program, config = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
sockets = []
for n in (port, health):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", n))
    s.listen(64)
    sockets.append(s)
time.sleep(1)
if os.getuid() == 0:
    import pwd
    who = pwd.getpwnam("'"$server_user"'")
    os.setgid(who.pw_gid)
    os.setuid(who.pw_uid)
for at, s in enumerate(sockets):
    os.dup2(os.dup(s.fileno()), 20 + at)
for at in range(len(sockets)):
    os.dup2(20 + at, 3 + at)
os.environ.update(LISTEN_FDS="2", LISTEN_PID=str(os.getpid()))
os.execv(program, [program, "run", "--config", config])' "$port" "$health" "$kit_dir/sluice" "$kit_dir/sluice.json"
activated=$started
wait_port "$port" "$activated" || die 'no sockets'
answer=$("$pg_bin/psql" -qXAt "host=127.0.0.1 port=$port user=u dbname=sluice sslmode=disable" -c 'show version' 2>&1 || true)
wants 'sockets that were handed: a client that came before is served' Sluice "$answer"
wants 'by all that were handed' live "$("$binary" health --address "127.0.0.1:$health")"
stop "$activated"

# ---- root --------------------------------------------------------------------------------------------
if is_root; then
    code=0
    said=$("$kit_dir/sluice" run --config "$kit_dir/sluice.json" 2>&1) || code=$?
    wants 'as root, without a user: refused' '1: ' "$code: $said"
    wants 'and says why' 'will not run as root' "$said"
    for bad in root nobody-of-this-name; do
        config "\"user\": \"$bad\","
        wants "nor as $bad" start.failed "$("$kit_dir/sluice" run --config "$kit_dir/sluice.json" 2>&1 || true)"
    done
    config "\"user\": \"$server_user\","
    start rooted "$kit_dir/sluice" run --config "$kit_dir/sluice.json"
    wait_port "$port" "$started" || { cat "$kit_dir/rooted.log"; exit 1; }
    id=$(id -u "$server_user")
    wants 'it becomes the user, in all three ways' "$id $id $id $id" "$(awk '/^Uid:/ {print $2, $3, $4, $5}' "/proc/$started/status")"
    wants 'with its groups only' "$(id -g "$server_user")" "$(awk '/^Gid:/ {print $2}' "/proc/$started/status")"
    wants 'without capabilities' 0000000000000000 "$(awk '/^CapEff:/ {print $2}' "/proc/$started/status")"
    wants 'and with no way back' 1 "$(awk '/^NoNewPrivs:/ {print $2}' "/proc/$started/status")"
    wants 'the unix socket is the user'"'"'s' "$server_user" "$(stat -c %U "$kit_dir/socket")"
    stop "$started"
else
    say 'ok - # SKIP privileges: not root'
fi
say "1..$steps"
