#!/usr/bin/env bash
# route_tls.sh: Redis by TLS (rediss://), with a user of its own who may do no more than it needs; a certificate of
# another CA, a wrong password, a user who may not, a switch to a replica: each is told, and the table in force stays.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/support/routes.sh
. "$support/routes.sh"

routes_kit
for which in certs other; do
    "$support/certs.sh" "$kit_dir/$which"
    hand_over "$kit_dir/$which"
done
REDIS_PASSWORD=$(openssl rand -hex 16)
admin_password=$(openssl rand -hex 16)
export REDIS_PASSWORD
# What deploy/ROUTES.md recommends.
allowed='~sluice:* &sluice:* +ping +select +get +set +mset +del +type +expire +lpush +ltrim +lrange +publish +subscribe +eval +hset +hget +hgetall +hdel +pexpire +time'
acl() { # WORDS: of the user sluice
    printf '%s\n' 'user default off' "user admin on >$admin_password ~* &* +@all" "user sluice on >$REDIS_PASSWORD $1" >"$kit_dir/acl"
    hand_over "$kit_dir/acl"
}
tls_redis() { # NAME PORT CERTS
    start "$1" "$support/redis.sh" "$kit_dir/$1.d" "$2" --port 0 --tls-port "$2" --tls-cert-file "$kit_dir/$3/server.crt" \
        --tls-key-file "$kit_dir/$3/server.key" --tls-ca-cert-file "$kit_dir/$3/ca.crt" --tls-auth-clients no --tls-replication yes \
        --aclfile "$kit_dir/acl" --masteruser admin --masterauth "$admin_password"
    wait_port "$2" "$started" || die 'Redis did not start'
}
start_redis() {
    tls_redis "redis$redis_starts" "$redis_port" "${redis_certs:-certs}"
    redis_starts=$((redis_starts + 1)) redis_pid=$started
}
redis() { redis-cli -h localhost -p "$redis_port" --tls --cacert "$kit_dir/certs/ca.crt" --user admin --pass "$admin_password" --no-auth-warning "$@" 2>&1; }
eval "$(declare -f routes_config | sed '1s/.*/plain_config ()/')"
routes_config() {
    plain_config "$1" | sed "s|\"redis://127.0.0.1:$redis_port\"|\"rediss://localhost:$redis_port\", \"cache_user\": \"sluice\", \"cache_password\": \"env:REDIS_PASSWORD\", \"cache_ca\": \"$kit_dir/certs/ca.crt\"|"
}

acl "$allowed"
key='sluice:{routes-test}'
for name in one two three; do table $name >"$kit_dir/$name.json"; done
routes_extra=', "fleet": { "share_connections": true, "size": 2, "lease": "5s" }'
routes_begin redis: 2
wants 'published by TLS, by a user who may little' 'generation 1 is in force' "$(route publish "$kit_dir/one.json")"
all_send_to one || not_ok 'all proxies follow'
ok 'all proxies follow'
routes_load_start
wants 'rolled forward' 'generation 2' "$(route publish "$kit_dir/two.json")"
all_send_to two || not_ok 'all follow'
wants 'and back' 'generation 3' "$(route rollback)"
all_send_to one || not_ok 'and back'
all_have fleet_members 2 || not_ok 'two proxies have met'
granted() { redis --raw hgetall "$key:lease:pg" | grep -q '^[0-9]* [0-9]* [0-9]* [0-9]*$'; }
until_so granted || not_ok 'leases are given'
ok 'proxies meet, and share connections, by the same user'
sed 's/"signing_key"/"approval": true, "signing_key"/' "$kit_dir/proxy0/sluice.json" >"$kit_dir/approval.json"
wants 'a candidate waits' 'is a candidate' "$("$binary" route publish "$kit_dir/two.json" --config "$kit_dir/approval.json" 2>&1)"
wants 'the history is there' 'to generation 1' "$(route history)"
[ "$(redis --raw acl log | grep -c sluice || true)" = 0 ] || not_ok "nothing was refused: $(redis acl log)"
ok 'nothing more was asked of Redis than its user may'
redis --raw get "$key:active" | grep -q '^sluice-routes 1 3 ' || not_ok 'the head is there'

# ---- a user who may no more, and one with another password ---------------------------------------------------------
acl '+ping +select'
redis acl load >/dev/null
redis client kill user sluice >/dev/null || redis client kill type normal skipme yes >/dev/null || true
says NOPERM || not_ok 'a user who may not: told'
each_sends_to one || not_ok 'and the table stays'
wants 'nor can the command' 'NOPERM' "$(route publish "$kit_dir/two.json" || true)"
acl "$allowed"
sed -i "s/>$REDIS_PASSWORD/>something-else/" "$kit_dir/acl"
redis acl load >/dev/null
redis client kill type normal skipme yes >/dev/null || true
says WRONGPASS || not_ok 'another password: told'
each_sends_to one || not_ok 'and the table stays'
ok 'a user who may not, another password: told, and the table stays'
acl "$allowed"
redis acl load >/dev/null
all_have routes_cache_up 1 || not_ok 'right again: there again'
wants 'right again' 'generation 4' "$(route publish "$kit_dir/two.json")"
all_send_to two || not_ok 'and followed'

# ---- a replica in its place ----------------------------------------------------------------------------------------
other_port=''
free_port other_port
tls_redis other "$other_port" certs
redis replicaof localhost "$other_port" >/dev/null
is_empty() { [ -z "$(redis --raw get "$key:active")" ]; }
until_so is_empty || not_ok 'the replica follows its master'
says READONLY || not_ok 'a replica: told'
wants 'a replica: nothing can be published' 'READONLY' "$(route publish "$kit_dir/three.json" || true)"
each_sends_to two || not_ok 'a replica: the table stays'
redis replicaof no one >/dev/null
back() { redis --raw get "$key:active" | grep -q '^sluice-routes 1 4 '; }
until_so back || not_ok 'promoted: filled again by the proxies'
ok 'a replica that is empty, then promoted: the table stays, and fills it'

# ---- a certificate of another CA ------------------------------------------------------------------------------------
stop "$redis_pid" KILL
redis_certs=other
start_redis
says 'certificate' || not_ok 'a certificate of another CA: told'
all_have routes_cache_up 0 || not_ok 'and not spoken to'
each_sends_to two || not_ok 'and the table stays'
wants 'nor by the command' 'certificate' "$(route publish "$kit_dir/three.json" || true)"
ok 'a certificate of another CA: told, not spoken to, and the table stays'
stop "$redis_pid" KILL
redis_certs=certs
start_redis
until_so back || not_ok 'the right one, empty: filled again'
wants 'the right one again' 'generation 5' "$(route publish "$kit_dir/three.json")"
all_send_to three || not_ok 'and followed'
! grep -F -- "$REDIS_PASSWORD" "$kit_dir"/sluice*.log || not_ok 'the password stands in a log'
routes_load_end 'no statement and no login failed all the while'
routes_end
