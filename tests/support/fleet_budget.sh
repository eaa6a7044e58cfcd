# shellcheck shell=bash disable=SC2154,SC2034
# fleet_budget: what test and soak of shared connections have in common. Source it after routes.sh.
#
#   budget_begin LIMIT LEASE   three proxies that share LIMIT connections; a load that wants more
#   budget_watch               the warehouse is looked at until budget_end: more than LIMIT at two looks
#                              in a row (one may see a server that is on its way out) is a breach
#   budget_end                 fails if there was one
#   leased N                   what proxy N may have

budget_begin() {
    limit=$1
    routes_extra=", \"fleet\": { \"share_connections\": true, \"size\": 3, \"lease\": \"$2\" }"
    max_connections=$limit pool_size=$limit
    routes_begin redis: 3
    table one >"$kit_dir/one.json"
    route publish "$kit_dir/one.json" >/dev/null
    all_send_to one || not_ok 'the proxies begin'
    printf 'select pg_sleep(0.02);\n' >"$kit_dir/work.sql"
}

budget_load() { # N CLIENTS: for ever, through a proxy that may die
    local n=$1 clients=$2
    start "want$n.$RANDOM" bash -c "while :; do '$pg_bin/pgbench' -n -f '$kit_dir/work.sql' -c $clients -j 1 -T 3600 \
        -h 127.0.0.1 -p ${ports[$n]} -U app x; sleep 0.2; done"
}

budget_watch() {
    local sql="select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
    { while :; do
        printf '%s;\n' "$sql"
        sleep 0.1
    done; } | start_watch
}
start_watch() {
    "$pg_bin/psql" -qXAt -h "$kit_dir/warehouse" -p "$warehouse_port" -U postgres -d postgres >"$kit_dir/counts"
}

highest() { sort -n "$kit_dir/counts" | tail -1; }
breaches() { awk -v l="$limit" '$1 > l && before > l { n++ } { before = $1 } END { print n + 0 }' "$kit_dir/counts"; }

leased() { metric "$1" 'cluster_leased_connections{cluster="pg"}'; }
leased_sum() { echo $(($(leased 0) + $(leased 1) + $(leased 2))); }
