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

stop "$redis_pid" KILL
all_have fleet_up 0 || not_ok 'without Redis there is no fleet'
wants 'one that arrives at its own proxy needs no Redis' 3 "$(client cancel "${ports[1]}" "${ports[1]}" 3)"
start_redis
all_have fleet_up 1 || not_ok 'it comes back'
all_have fleet_members 3 || not_ok 'with all of them'
wants 'and cancels find their way again' 3 "$(client cancel "${ports[1]}" "${ports[0]}" 3)"
routes_end
