#!/usr/bin/env bash
# route_dynamo.sh: routing tables in DynamoDB (moto's, which others wrote), a Redis between three
# proxies, and what is left when both are away. Needs PyPI once: without it, skips.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/support/routes.sh
. "$support/routes.sh"

routes_moto || exit 0
refresh=2s
routes_begin dynamodb:sluice-routes 3

for name in one two three; do table $name >"$kit_dir/$name.json"; done
wants 'the first table' 'generation 1 is in force' "$(route publish "$kit_dir/one.json" --author ana)"
all_send_to one || not_ok 'all proxies follow'
ok 'all proxies follow'
routes_load_start
wants 'the second' 'generation 2 is in force' "$(route publish "$kit_dir/two.json" --author ben --note "at noon")"
all_send_to two || not_ok 'all proxies follow again'
ok 'all proxies follow again'
wants 'the audit record has the author' '"user":"ben"' "$(cat "$kit_dir"/proxy?/audit.jsonl)"
wants 'the history, newest first' 'at noon' "$(route history | head -1)"

# By hand, without telling Redis: whoever looks first tells the others.
aws_python <<'PY'
import hashlib, json
old = table.get_item(Key={"pk": "active", "sk": "table"})["Item"]
text = json.dumps({"version": 3, "rules": [{"id": "r", "when": {"user": "app"}, "to": "pg", "database": "three"}]})
name = hashlib.sha256(text.encode()).hexdigest()
table.put_item(Item={"pk": "document#" + name, "sk": "0000", "text": text})
table.put_item(Item={**old, "generation": 3, "hash": name, "parts": 1, "author": "hand"})
PY
all_send_to three || not_ok 'a change made in DynamoDB reaches all proxies'
ok 'a change made in DynamoDB reaches all proxies'

# Rules as items, no document at all.
aws_python <<'PY'
table.put_item(Item={"pk": "rule", "sk": "all", "position": 20, "rule": {"to": "pg", "database": "one"}})
table.put_item(Item={"pk": "rule", "sk": "app", "position": 10, "rule": {"when": {"user": ["app"]}, "to": "pg", "database": "two"}})
table.put_item(Item={"pk": "active", "sk": "table", "generation": 4, "author": "hand", "time": "", "action": "items"})
PY
all_send_to two || not_ok 'rules that are items, in the order of their positions'
ok 'rules that are items, in the order of their positions'

# What is no table, and what is older.
aws_python <<'PY'
table.put_item(Item={"pk": "rule", "sk": "app", "position": 10, "rule": {"when": {"user": ["app"]}, "to": "nowhere"}})
table.put_item(Item={"pk": "active", "sk": "table", "generation": 5, "author": "hand", "time": "", "action": "items"})
PY
says 'nowhere' || not_ok 'a table that is not valid is refused'
each_sends_to two || not_ok 'a table that is not valid is refused'
ok 'a table that is not valid is refused, with its reason'
aws_python <<'PY'
table.put_item(Item={"pk": "active", "sk": "table", "generation": 1, "author": "hand", "time": "", "action": "items"})
PY
says 'older than the table in force' || not_ok 'an older generation is refused'
each_sends_to two || not_ok 'an older generation is refused'
ok 'an older generation is refused'
aws_python <<'PY'
table.put_item(Item={"pk": "active", "sk": "table", "generation": "five"})
PY
says 'routes.source_failed' || not_ok 'an item that is none of ours is told'
each_sends_to two || not_ok 'and changes nothing'
ok 'an item that is none of ours changes nothing'
aws_python <<'PY'
table.put_item(Item={"pk": "active", "sk": "table", "generation": 5, "author": "hand", "time": "", "action": "items"})
PY

# A document that claims a later version than its generation; then nothing at all.
aws_python <<'PY'
import hashlib, json
text = json.dumps({"version": 99, "rules": [{"id": "r", "when": {"user": "app"}, "to": "pg", "database": "three"}]}).replace("{\"id\"", "\n{\"id\"")
name = hashlib.sha256(text.encode()).hexdigest()
table.put_item(Item={"pk": "document#" + name, "sk": "0000", "text": text})
table.put_item(Item={"pk": "active", "sk": "table", "generation": 6, "hash": name, "parts": 1, "author": "hand", "time": "", "action": "hand"})
PY
says '1: .*from the future: the newest is 6' || not_ok 'a version from the future is refused'
each_sends_to two || not_ok 'a version from the future is refused'
ok 'a version from the future is refused, with its line'
aws_python <<'PY'
table.delete_item(Key={"pk": "active", "sk": "table"})
PY
says 'verdict="nothing there" generation=0 in_force=4' || not_ok 'an empty source is told'
each_sends_to two || not_ok 'and the table stays'
ok 'an empty source is told, and the table stays'
wants 'what is published there then is newer than what the proxies have' 'generation 5 is in force' "$(route publish "$kit_dir/one.json" --author ana)"
all_send_to one || not_ok 'and is taken'

# Two administrators at once: one of them is told.
route publish "$kit_dir/one.json" --author ana >"$kit_dir/ana" 2>&1 &
ana=$!
route publish "$kit_dir/three.json" --author ben >"$kit_dir/ben" 2>&1 || true
wait "$ana" || true
wants 'two at once: each is in force or told that it is not' 'generation 6' "$(cat "$kit_dir/ana" "$kit_dir/ben")"
wants 'then a large one, in parts' 'is in force' "$(large_table one >"$kit_dir/large.json" && route publish "$kit_dir/large.json")"
all_send_to one || not_ok 'which reaches all proxies'
ok 'which reaches all proxies'

# ---- without DynamoDB, without Redis -----------------------------------------------------------------
stop "$moto" KILL
source_failed() { [ "$(metric 0 'routes_failures_total{at="source"}')" -gt 1 ]; }
until_so source_failed || not_ok 'metrics count the failures'
each_sends_to one || not_ok 'DynamoDB away: the table stays'
ok 'DynamoDB away: the table stays'
stop "$redis_pid" KILL
routes_load_end 'no statement and no login failed all the while'
stop "${proxies[1]}"
start_proxy 1
wants 'both away: a proxy starts with the saved table' one "$(database_of 1)"
stop "${proxies[2]}"
printf x >>"$kit_dir/proxy2/saved.routes"
start_proxy 2
wants 'but not with one that somebody has changed' 'no routing table yet' "$(database_of 2)"
routes_end
