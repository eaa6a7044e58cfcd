#!/usr/bin/env bash
# route_sources.sh: three proxies, one Redis, one table; statements run all the time, and none may
# fail, whatever happens to Redis and to what is in it. What is asserted is which table is in force,
# never how long it took to get there.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/support/routes.sh
. "$support/routes.sh"

key='sluice:{routes-test}'
routes_begin redis: 3

wants 'without a table nobody gets in, and is told to come again' 'no routing table yet' "$(database_of 0)"
wants 'nor is the proxy ready' 'no routing table yet' "$(curl -s "http://127.0.0.1:${admins[0]}/readyz")"

# ---- published, rolled back --------------------------------------------------------------------------
for name in one two three; do table $name >"$kit_dir/$name.json"; done
sed 's/"rule": "r"/"rule": "other"/' "$kit_dir/one.json" >"$kit_dir/untrue.json"
sed 's/"to": "pg"/"to": "nowhere"/' "$kit_dir/one.json" >"$kit_dir/unknown.json"
sed 's/"to": "pg"/"to": "pg", "db_user": "superuser"/' "$kit_dir/one.json" >"$kit_dir/strong.json"
wants 'a table that fails its own test is not published' 'untrue.json:2: error' "$(route publish "$kit_dir/untrue.json" || true)"
wants 'nor one that names what does not exist' 'unknown.json:1: error' "$(route publish "$kit_dir/unknown.json" || true)"
wants 'nor one with a database user that the role may not have' 'superuser' "$(route publish "$kit_dir/strong.json" || true)"
wants 'a good one is' 'generation 1 is in force' "$(route publish "$kit_dir/one.json" --author ana --note 'the first')"
all_send_to one || not_ok 'all proxies follow'
ok 'all proxies follow'
first=$(redis --raw get "$key:active")
routes_load_start
wants 'the second' 'generation 2 is in force' "$(route publish "$kit_dir/two.json" --author ben)"
all_send_to two || not_ok 'all proxies follow again'
ok 'all proxies follow again'
wants 'back' 'generation 3 is in force' "$(route rollback --author ana)"
all_send_to one || not_ok 'and back'
wants 'the history says who' 'ben' "$(route history)"
wants 'and what' 'to generation 1' "$(route history)"
wants 'the audit record says so, too' '"act":"ROUTES","object":"generation 3"' "$(cat "$kit_dir/proxy1/audit.jsonl")"

# ---- what is not believed ----------------------------------------------------------------------------
head=$(redis --raw get "$key:active" | head -1)
each_have_generation_3() { each_has routes_generation 3 && each_sends_to one; }
restored() { [ "$(redis --raw get "$key:active" | head -1)" = "$head" ]; }
attack() { # NAME COMMAND...
    local name=$1
    shift
    "$@" >/dev/null
    redis publish "$key:changed" x >/dev/null
    until_so restored || not_ok "$name: Redis was not put right: $(redis --raw get "$key:active")"
    each_have_generation_3 || not_ok "$name: another table is in force"
    ok "$name"
}
replay() { printf '%s\n' "$first" | redis -x set "$key:active"; }
attack 'a wrong signature' redis set "$key:active" "${head/ 1 3 / 1 9 }"
attack 'garbage' redis set "$key:active" 'SELECT 1;'
attack 'a list' redis eval "redis.call('DEL', KEYS[1]) return redis.call('RPUSH', KEYS[1], 'x')" 1 "$key:active"
attack 'a megabyte' redis eval "return redis.call('SET', KEYS[1], string.rep('x', 1000000))" 1 "$key:active"
attack 'emptied' redis flushall
attack 'an older generation, replayed' replay
[ "$(total 'routes_advice_total{advice="older"}')" -gt 0 ] || not_ok 'metrics count what was too old'
says 'routes.not_taken' || not_ok 'the log says that it was not taken'
ok 'the log says what was not taken'
[ "$(total 'routes_advice_total{advice="doubted"}')" -gt 0 ] || not_ok 'metrics count what was doubted'
ok 'metrics count what was doubted'

# Correctly signed, but not valid here: somebody has the key and another idea of who may be whom.
sed 's/"db_users": \["postgres"\]/"db_users": ["postgres", "superuser"]/' "$kit_dir/proxy0/sluice.json" >"$kit_dir/other.json"
sed -i 's/"users": { "postgres": "env:PG_PASSWORD" }/"users": { "postgres": "env:PG_PASSWORD", "superuser": "env:PG_PASSWORD" }/' "$kit_dir/other.json"
wants 'with the key and a laxer configuration it can be published' 'generation 4' \
    "$("$binary" route publish "$kit_dir/strong.json" --config "$kit_dir/other.json" 2>&1)"
says 'routes.refused' || not_ok 'it is refused'
says 'superuser' || not_ok 'it is refused with its reason'
each_have_generation_3 || not_ok 'and the one before stays'
ok 'a signed table with a stronger database user is refused everywhere, with line and reason'
wants 'the next good one is taken' 'generation 5' "$(route publish "$kit_dir/two.json")"
all_send_to two || not_ok 'the next good one is in force'
ok 'the next good one is in force'

# ---- two people --------------------------------------------------------------------------------------
sed 's/"signing_key"/"approval": true, "signing_key"/' "$kit_dir/proxy0/sluice.json" >"$kit_dir/approval.json"
with_approval() { "$binary" route "$@" --config "$kit_dir/approval.json" 2>&1; }
wants 'where two people are wanted, a table becomes a candidate' 'is a candidate' "$(with_approval publish "$kit_dir/one.json" --author ana)"
wants 'its author does not activate it' 'somebody else activates it' "$(with_approval activate --author ana || true)"
candidate=$(redis --raw get "$key:candidate" | head -1)
smuggle() { printf '%s\n' "$candidate" | redis -x set "$key:active"; }
head=$(redis --raw get "$key:active" | head -1)
smuggle >/dev/null
redis publish "$key:changed" x >/dev/null
until_so restored || not_ok 'a candidate moved to where the table in force stands is not believed'
each_sends_to two || not_ok 'a candidate moved to where the table in force stands is not believed'
ok 'a candidate moved to where the table in force stands is not believed'
wants 'somebody else does' 'generation 6 is in force' "$(with_approval activate --author ben)"
all_send_to one || not_ok 'then it is in force'
wants 'once' 'publish it again' "$(with_approval activate --author ben || true)"
wants 'and goes on' 'generation 7' "$(route publish "$kit_dir/two.json")"
all_send_to two || not_ok 'and goes on'

# ---- Redis itself ------------------------------------------------------------------------------------
stop "$redis_pid" KILL
all_have routes_cache_up 0 || not_ok 'metrics say that Redis is away'
each_sends_to two || not_ok 'without Redis the table stays'
aged() { [ "$(metric 1 routes_age_seconds)" -ge 2 ]; }
until_so aged || not_ok 'the age of the table grows'
ok 'Redis killed: the table stays, and its age is told'
stop "${proxies[2]}" KILL
stop "${loads[4]}" KILL
stop "${loads[5]}" KILL
unset 'loads[4]' 'loads[5]'
rm -f "$kit_dir"/load2.*
start_proxy 2
wants 'a proxy that starts meanwhile takes the saved table' two "$(database_of 2)"
[ "$(metric 2 'routes_from{from="disk"}')" = 1 ] || not_ok 'from the disk'
start_redis
all_have routes_cache_up 1 || not_ok 'Redis is back'
back() { redis --raw get "$key:active" | grep -q '^sluice-routes 1 7 '; }
until_so back || not_ok 'restarted empty: the proxies fill it'
ok 'restarted empty: the proxies fill it'

redis debug sleep 5 >/dev/null &
sleeping=$!
each_sends_to two || not_ok 'slow by 5 s: the table stays'
wait "$sleeping" || true
ok 'slow by 5 s: nobody waits for it'

other_port=''
free_port other_port
start replica-of "$support/redis.sh" "$kit_dir/redis-other" "$other_port"
wait_port "$other_port" "$started" || die 'the other Redis did not start'
redis replicaof 127.0.0.1 "$other_port" >/dev/null
is_empty() { [ -z "$(redis --raw get "$key:active")" ]; }
until_so is_empty || not_ok 'the replica follows its master'
says READONLY || not_ok 'the log says that it is a replica'
each_sends_to two || not_ok 'a replica: the table stays'
ok 'switched to a replica that is empty: the table stays'
wants 'nothing can be published there' 'READONLY' "$(route publish "$kit_dir/three.json" || true)"
redis replicaof no one >/dev/null
until_so back || not_ok 'a master again: filled again'
ok 'a master again: filled again'
wants 'and the next table comes through' 'generation 8' "$(route publish "$kit_dir/three.json")"
all_send_to three || not_ok 'and is in force'

routes_load_end 'no statement and no login failed all the while'
routes_end
