#!/usr/bin/env bash
# routes.sh: what is published reaches three proxies under load within two seconds, ten times.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/support/routes.sh
. "$support/routes.sh"

refresh=30s
routes_begin redis: 3
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
    since=$(date +%s%3N)
    all_have routes_generation "$generation" || not_ok "generation $generation arrives"
    took=$(($(date +%s%3N) - since))
    [ "$took" -le "$slowest" ] || slowest=$took
done
[ "$slowest" -le 2000 ] || not_ok "within two seconds: $slowest ms"
ok "a change is in force on three proxies within two seconds (slowest of ten: $slowest ms)"
routes_load_end 'no statement and no login failed meanwhile'
routes_end
