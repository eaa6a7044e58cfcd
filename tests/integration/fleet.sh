#!/usr/bin/env bash
# fleet.sh: three proxies, one Redis, one PostgreSQL: a cancel through any of them finds its session,
# and keys that are nobody's are sent on once, and not too often.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/support/routes.sh
. "$support/routes.sh"

routes_begin redis: 3
table one >"$kit_dir/one.json"
route publish "$kit_dir/one.json" >/dev/null
all_send_to one || not_ok 'the proxies begin'
all_have fleet_members 3 || not_ok 'three proxies have met'
ok 'three proxies have met'

client() { python3 "$support/fleet_client.py" "$@" 2>&1; }
for ask in 0 1 2; do
    wants "20 cancels through proxy $ask" 20 "$(client cancel "${ports[1]}" "${ports[$ask]}" 20)"
done
[ "$(metric 1 fleet_cancels_taken_total)" -ge 40 ] || not_ok 'those of others were sent on'
[ "$(metric 1 fleet_cancels_sent_total)" = 0 ] || not_ok 'and its own were not'
ok 'those of others were sent on, its own were not'

sent=$(total fleet_cancels_sent_total)
wants 'wrong keys are closed without an answer' 20 "$(client wrong "${ports[0]}" 20)"
[ "$(total fleet_cancels_sent_total)" = $((sent + 20)) ] || not_ok 'each was sent on once, by one proxy'
ok 'each was sent on once, by one proxy'
wants 'a flood of them, too' 300 "$(client wrong "${ports[0]}" 300)"
[ "$(metric 0 fleet_cancels_limited_total)" -gt 100 ] || not_ok 'but most are not sent on'
[ "$(metric 1 fleet_cancels_sent_total)" = 0 ] || not_ok 'nor by the others'
ok 'but most are not sent on'

channel='sluice:{routes-test}:fleet'
"${redis_cli:-redis-cli}" -h 127.0.0.1 -p "$redis_port" subscribe "$channel" >"$kit_dir/heard" 2>&1 &
hearing=$!
until_so grep -q 'sluice-fleet' "$kit_dir/heard" || not_ok 'hellos are heard'
client cancel "${ports[1]}" "${ports[2]}" 1 >/dev/null
refused=$(total fleet_refused_total)
line=$(grep '^sluice-fleet 1 1 ' "$kit_dir/heard" | head -1)
kill "$hearing"
[ -n "$line" ] || not_ok 'the cancel was heard'
redis publish "$channel" "$line" >/dev/null
redis publish "$channel" "sluice-fleet 1 1 0000000000000001${line:32}" >/dev/null
redis publish "$channel" "garbage" >/dev/null
grew() { [ "$(total fleet_refused_total)" -ge $((refused + 8)) ]; }
until_so grew || not_ok 'what is repeated, changed or garbage is refused'
ok 'what is repeated, changed or garbage is refused'

# ---- ON ALL ---------------------------------------------------------------------------------------
console() { # N COMMAND
    "$pg_bin/psql" -qXAt "host=127.0.0.1 port=${ports[$1]} user=ops dbname=sluice sslmode=disable" -c "$2" 2>&1
}
answers() { # WORD: how many of the rows in $said have it
    grep -c "|$1|" <<<"$said" || true
}
[ "$(console 0 'SHOW FLEET' | wc -l)" = 3 ] || not_ok 'SHOW FLEET names all three'
ok 'SHOW FLEET names all three'
said=$(console 0 'RELOAD ON ALL')
[ "$(answers 'done')" = 3 ] || not_ok "RELOAD ON ALL: $said"
all_have config_generation 2 || not_ok 'all have read their configuration again'
ok 'RELOAD ON ALL: all have read their configuration again'
said=$(console 1 'pause one on all;')
[ "$(answers 'done')" = 3 ] || not_ok "PAUSE ON ALL: $said"
paused() { [ "$(metric "$1" 'pool_paused')" = "$2" ]; }
for n in 0 1 2; do paused "$n" 1 || not_ok 'all are paused'; done
said=$(console 2 'RESUME one ON ALL')
[ "$(answers 'done')" = 3 ] || not_ok "RESUME ON ALL: $said"
for n in 0 1 2; do paused "$n" 0 || not_ok 'all go on'; done
ok 'PAUSE and RESUME ON ALL'
start victim "$pg_bin/psql" -qXAt "host=127.0.0.1 port=${ports[2]} user=app dbname=x sslmode=disable" -c 'select pg_sleep(60)'
client_of_2() { victim_id=$(console 2 'SHOW CLIENTS' | grep '|app|' | awk -F'|' '{ print $NF }') && [ -n "$victim_id" ]; }
until_so client_of_2 || not_ok 'there is a client'
said=$(console 0 "KILL_CLIENT $victim_id ON ALL")
[ "$(answers 'done')-$(answers refused)" = 1-2 ] || not_ok "KILL_CLIENT ON ALL: one has it: $said"
wait "$started" || true
ok 'KILL_CLIENT ON ALL finds the one that has it'
sed -i 's/"console": "operator"/"console": "viewer"/' "$kit_dir/proxy2/sluice.json"
said=$(console 0 'RELOAD ON ALL')
said=$(console 0 'RECONNECT ON ALL')
[ "$(answers 'done')-$(answers refused)" = 2-1 ] || not_ok "each asks its own configuration who may: $said"
ok 'each asks its own configuration who may'
grep '"act":"RECONNECT' "$kit_dir/proxy2/audit.jsonl" | grep -q '"deny' || not_ok 'and records it'
grep '"act":"RECONNECT' "$kit_dir/proxy1/audit.jsonl" | grep -q 'fleet:' || not_ok 'and where it came from'
ok 'and records it'
kill -STOP "${proxies[1]}"
said=$(console 0 'RECONNECT ON ALL')
kill -CONT "${proxies[1]}"
[ "$(answers 'no answer')" = 1 ] || not_ok "who does not answer is named: $said"
ok 'who does not answer is named'
wants 'SHOW does not go to all' 'takes no argument' "$(console 0 'SHOW POOLS ON ALL' || true)"

stop "$redis_pid" KILL
all_have fleet_up 0 || not_ok 'without Redis there is no fleet'
wants 'one that arrives at its own proxy needs no Redis' 3 "$(client cancel "${ports[1]}" "${ports[1]}" 3)"
wants 'ON ALL is refused without the others' 'cannot be reached' "$(console 0 'RELOAD ON ALL' || true)"
start_redis
all_have fleet_up 1 || not_ok 'it comes back'
all_have fleet_members 3 || not_ok 'with all of them'
wants 'and cancels find their way again' 3 "$(client cancel "${ports[1]}" "${ports[0]}" 3)"
routes_end
