#!/usr/bin/env bash
# fleet_budget.sh: three proxies share twelve connections, and all want more. One is killed, Redis is
# stopped and emptied; PostgreSQL never sees more than twelve. The long form is `make soak`.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/support/routes.sh
. "$support/routes.sh"
# shellcheck source=tests/support/fleet_budget.sh
. "$support/fleet_budget.sh"

budget_begin 12 5s
start watch budget_watch
has_at_least() { [ "$(leased "$1")" -ge "$2" ]; }
has_at_most() { [ "$(leased "$1")" -le "$2" ]; }
all_have_at_most() { has_at_most 0 "$1" && has_at_most 1 "$1" && has_at_most 2 "$1"; }

budget_load 0 12
until_so has_at_least 0 7 || not_ok "who alone wants more gets what the others do not use: $(leased 0)"
ok 'who alone wants more gets what the others do not use'
budget_load 1 12
until_so has_at_least 1 4 || not_ok "when another wants some, it gives way: $(leased 1)"
ok 'when another wants some, it gives way'
[ "$(leased_sum)" -le 12 ] || not_ok "the sum is never above: $(leased 0) $(leased 1) $(leased 2)"

stop "${proxies[1]}" KILL
start_proxy 1
until_so has_at_least 1 4 || not_ok 'killed and started again, it has its part again'
ok 'killed and started again, it has its part again'

kill -STOP "$redis_pid"
until_so all_have_at_most 4 || not_ok "Redis stopped: nobody has more than its even part: $(leased 0) $(leased 1)"
ok 'Redis stopped: nobody has more than its even part'
wants 'and goes on' one "$(database_of 2)"
kill -CONT "$redis_pid"
until_so has_at_least 0 5 || not_ok "Redis goes on: leases again: $(leased 0)"
ok 'Redis goes on: leases again'
redis flushall >/dev/null
sleep 1
until_so has_at_least 0 5 || not_ok 'emptied: leases again'
ok 'emptied: leases again'
[ "$(wc -l <"$kit_dir/counts")" -gt 100 ] || not_ok 'the warehouse was looked at'
[ "$(breaches)" = 0 ] || not_ok "twelve connections, but there were $(highest)"
ok "never more than twelve connections ($(highest) at a look, $(wc -l <"$kit_dir/counts") looks)"
for pid in "${proxies[@]}"; do kill -0 "$pid" || not_ok 'all are alive'; done
routes_end
