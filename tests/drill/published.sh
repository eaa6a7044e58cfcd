# shellcheck shell=bash disable=SC2154
# published: how long a new table takes to be in force on all proxies. Source it after tests/support/routes.sh.
#
#   publish_for_a_while SOURCE WHAT   three proxies under load, ten tables published by the command
#   arrives GENERATION                until all proxies have it; $slowest: the slowest since it was set to 0, in ms
#   in_two_seconds WHAT               of all that arrived

arrives() {
    local since took
    since=$(date +%s%3N)
    all_have routes_generation "$1" || not_ok "generation $1 arrives"
    took=$(($(date +%s%3N) - since))
    [ "$took" -le "$slowest" ] || slowest=$took
}

in_two_seconds() {
    [ "$slowest" -le 2000 ] || not_ok "$1 within two seconds: $slowest ms"
    ok "$1 within two seconds (slowest: $slowest ms)"
}

publish_for_a_while() {
    local generation name
    routes_begin "$1" 3
    table one >"$kit_dir/one.json"
    table two >"$kit_dir/two.json"
    route publish "$kit_dir/one.json" >/dev/null
    all_send_to one || not_ok 'the proxies begin'
    routes_load_start
    slowest=0
    for ((generation = 2; generation <= 11; generation++)); do
        name=one
        [ $((generation % 2)) = 1 ] || name=two
        route publish "$kit_dir/$name.json" >/dev/null
        arrives "$generation"
    done
    in_two_seconds "$2"
    routes_load_end 'no statement and no login failed meanwhile'
}
