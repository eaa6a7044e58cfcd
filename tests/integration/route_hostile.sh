#!/usr/bin/env bash
# route_hostile.sh: tables that are wrong, in every way that we know and from every side: a file, `sluice route publish`,
# the console; each is refused with its line and reason, and the one before stays. And the console's ROUTE commands: who
# may, who is recorded, two people.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/support/routes.sh
. "$support/routes.sh"

routes_kit
for name in one two three; do table $name >"$kit_dir/$name.json"; done

# ---- what is wrong: NAME|LINE|REASON|DOCUMENT (\n: a new line) -----------------------------------------------
rule='"id": "r", "when": { "user": "app" }, "to": "pg"'
deep=$(printf '[%.0s' {1..200})
cat >"$kit_dir/wrong" <<LIST
half a document|1||{ "rules": [
not JSON|2||{\n SELECT 1 }
no object|1||[]
no rules|1|rules|{ }
an empty list of rules|2|no rule decides|{\n "rules": [] }
a key twice|2|twice|{ "rules": [ { $rule,\n "to": "pg" } ] }
an unknown key|2|nknown key|{ "rules": [ { "id": "r",\n "too": "pg", "to": "pg" } ] }
an unknown condition|1|nknown|{ "rules": [ { "id": "r", "when": { "usr": "app" }, "to": "pg" } ] }
a cluster that does not exist|2|nowhere|{ "rules": [ { "id": "r",\n "to": "nowhere" } ] }
a circle of fallbacks|2|pg|{ "rules": [ { "id": "r",\n "to": ["pg", "pg"] } ] }
two rules of one name|2|already|{ "rules": [ { $rule },\n { "id": "r", "to": "pg" } ] }
a rule that leads nowhere|1|leads nowhere|{ "rules": [ { "id": "r" } ] }
a stronger database user|1|superuser|{ "rules": [ { $rule, "db_user": "superuser" } ] }
its own test fails|2|test|{ "rules": [ { $rule } ],\n "tests": [ { "name": "t", "user": "app", "database": "x", "expect": { "rule": "other" } } ] }
a test of a user that does not exist|2|nobody|{ "rules": [ { $rule } ],\n "tests": [ { "name": "t", "user": "nobody", "database": "x", "expect": { "rule": "r" } } ] }
an expression that is none|1|query|{ "rules": [ { "id": "r", "when": { "query": "(" }, "to": "pg" }, { "id": "d", "to": "pg" } ] }
an expression over its budget|1|over budget|{ "rules": [ { "id": "r", "when": { "query": "(a+)+b" }, "to": "pg" }, { "id": "d", "to": "pg" } ] }
a network that is none|1|client|{ "rules": [ { "id": "r", "when": { "client": "10.0.0.0/99" }, "to": "pg" } ] }
hours that are none|1|hour|{ "rules": [ { "id": "r", "when": { "hour": "25-26" }, "to": "pg" } ] }
a share of more than all|1|percent|{ "rules": [ { "id": "r", "when": { "percent": 101 }, "to": "pg" } ] }
a statement that chooses a database|1|decided at login|{ "rules": [ { "id": "r", "when": { "statement": "SELECT" }, "database": "x", "to": "pg" } ] }
a pool that is none|1|size|{ "rules": [ { $rule, "pool": { "size": -1 } } ] }
an answer that nobody gives|2|no answer|{ "rules": [ { $rule,\n "local_answers": "everything" } ] }
an answer of a pool that nobody gives|1|no answer|{ "rules": [ { $rule, "pool": { "local_answers": ["everything"] } } ] }
nested without end|1|deep|{ "rules": $deep
LIST
document() { printf '%b' "$1"; }

# ---- from a file -----------------------------------------------------------------------------------------------
routes_first=$kit_dir/one.json routes_cache='' refresh=1h
routes_begin file:routes.json 1
file=$kit_dir/proxy0/routes.json
all_send_to one || not_ok 'the table of the start'
refused() { metric 0 routes_refused_total; }
counted() { [ "$(refused)" -gt "$1" ]; }
said_in_log() { # LINE REASON: the newest refusal
    grep 'routes.problem' "${proxy_logs[0]}" | tail -n 3 | grep -F "routes.json:$1: " | grep -qF -- "$2"
}
while IFS='|' read -r name line reason text; do
    before=$(refused)
    document "$text" >"$kit_dir/proxy0/next" && mv "$kit_dir/proxy0/next" "$file"
    until_so counted "$before" || not_ok "file: $name: not refused"
    until_so said_in_log "$line" "$reason" || not_ok "file: $name: line $line, \"$reason\" is not told"
    each_sends_to one || not_ok "file: $name: the one before stays"
    # And by the command that tries it.
    document "$text" >"$kit_dir/try.json"
    said=$(route publish "$kit_dir/try.json" --author eve || true)
    case $said in
    *"try.json:$line: error: "*"$reason"*) ;;
    *) not_ok "publish: $name: $said" ;;
    esac
done <"$kit_dir/wrong"
ok "from a file and by the command: $(wc -l <"$kit_dir/wrong") wrong tables, each refused with line and reason"
# The command gives a table its version; by hand it may be anything.
before=$(refused)
document '{ "version": -1, "rules": [ { "id": "r", "to": "pg" } ] }' >"$kit_dir/proxy0/next" && mv "$kit_dir/proxy0/next" "$file"
until_so counted "$before" || not_ok 'a version that is none: not refused'
said_in_log 1 version || not_ok 'a version that is none: not told'

# ---- from the console --------------------------------------------------------------------------------------------
cp "$kit_dir/one.json" "$kit_dir/proxy0/next" && mv "$kit_dir/proxy0/next" "$file"
all_send_to one || not_ok 'good again'
while IFS='|' read -r name line reason text; do
    said=$(console 0 rita "ROUTE PUBLISH \$table\$$(document "$text")\$table\$") || true
    case $said in
    *"document:$line: error: "*"$reason"*) ;;
    *) not_ok "console: $name: $said" ;;
    esac
done <"$kit_dir/wrong"
each_sends_to one || not_ok 'console: the one before stays'
ok 'from the console: likewise'
wants 'who may only operate may not' 'needs the console level "router"' "$(console 0 ops "ROUTE PUBLISH \$\$$(cat "$kit_dir/two.json")\$\$" || true)"
wants 'nor roll back' 'needs the console level "router"' "$(console 0 ops 'ROUTE ROLLBACK' || true)"
wants 'a document is one literal' 'as one literal' "$(console 0 rita 'ROUTE PUBLISH hello world' || true)"
wants 'not half a one' 'ERROR' "$(console 0 rita "ROUTE PUBLISH '{ \"rules\"" || true)"
wants 'one with a version of its own gets the right one' 'generation 1 is in force' \
    "$(console 0 rita "ROUTE PUBLISH \$\$$(sed 's/{ "rules"/{ "version": 99, "rules"/' "$kit_dir/two.json")\$\$")"
all_send_to two || not_ok 'published by the console'
wants 'in quotes, too' 'generation 2 is in force' "$(console 0 rob "ROUTE PUBLISH '$(cat "$kit_dir/three.json")'")"
all_send_to three || not_ok 'published by the console again'
wants 'back by one' 'generation 3 is in force' "$(console 0 rita 'ROUTE ROLLBACK')"
all_send_to two || not_ok 'rolled back'
wants 'back by number' 'generation 4 is in force' "$(console 0 rita 'ROUTE ROLLBACK 2')"
all_send_to three || not_ok 'rolled back by number'
wants 'to what never was' 'no such table' "$(console 0 rita 'ROUTE ROLLBACK 99' || true)"
wants 'nothing waits for another' 'no candidate' "$(console 0 rita 'ROUTE ACTIVATE' || true)"
wants 'the history says who' '|publish|rob|' "$(console 0 ops 'ROUTE HISTORY')"
wants 'and what' 'to generation 2' "$(console 0 ops 'ROUTE HISTORY' | head -1)"
wants 'the command says the same' 'rob' "$(route history)"
wants 'the audit record has the act' '"act":"ROUTE ROLLBACK","object":"2"' "$(cat "$kit_dir/proxy0/audit.jsonl")"
wants 'and what was refused' '"decision":"deny"' "$(grep '"act":"ROUTE' "$kit_dir/proxy0/audit.jsonl")"
wants 'HELP has it' 'ROUTE ACTIVATE|router' "$(console 0 ops 'SHOW HELP')"
stop "${proxies[0]}"

# ---- two people, Redis -------------------------------------------------------------------------------------------
unset routes_cache routes_first
approval=yes refresh=1s source=redis: count=2
key='sluice:{routes-test}'
for n in 0 1; do
    free_port "ports[$n]"
    free_port "admins[$n]"
    rm -rf "$kit_dir/proxy$n"
    start_proxy $n
done
wants 'a table waits for somebody else' 'a candidate' "$(console 0 rita "ROUTE PUBLISH \$\$$(cat "$kit_dir/one.json")\$\$")"
wants 'not for its author' 'somebody else activates it' "$(console 1 rita 'ROUTE ACTIVATE' || true)"
wants 'who is, on another proxy' 'generation 1 is in force' "$(console 1 rob 'ROUTE ACTIVATE')"
all_send_to one || not_ok 'all follow'
ok 'all proxies follow'
first=$(redis --raw get "$key:active")
console 0 rob "ROUTE PUBLISH \$\$$(cat "$kit_dir/two.json")\$\$" >/dev/null
wants 'a second one, the other way round' 'generation 2 is in force' "$(console 0 rita 'ROUTE ACTIVATE')"
all_send_to two || not_ok 'all follow again'
printf '%s\n' "$first" | redis -x set "$key:active" >/dev/null
redis publish "$key:changed" x >/dev/null
restored() { redis --raw get "$key:active" | grep -q '^sluice-routes 1 2 '; }
until_so restored || not_ok 'an older generation, replayed, is put right'
each_sends_to two || not_ok 'an older generation, replayed'
ok 'an older generation, replayed, changes nothing'
redis replicaof 127.0.0.1 1 >/dev/null
wants 'where nothing can be written, that is said' 'READONLY' "$(console 0 rita 'ROUTE ROLLBACK' || true)"
redis replicaof no one >/dev/null
each_sends_to two || not_ok 'and nothing changed'
routes_end
