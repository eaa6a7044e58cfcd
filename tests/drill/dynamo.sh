#!/usr/bin/env bash
# dynamo.sh: what is published in DynamoDB (moto's, which others wrote) reaches three proxies under load within two
# seconds, ten times: by the command, which tells Redis. By hand, without telling anybody, it takes a `refresh`.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/support/routes.sh
. "$support/routes.sh"

routes_moto || exit 0
refresh=30s
routes_begin dynamodb:sluice-routes 3
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
ok "a change in DynamoDB is in force on three proxies within two seconds (slowest of ten: $slowest ms)"
routes_load_end 'no statement and no login failed meanwhile'
routes_end

# By hand: whoever looks first, a second after the other at the latest, tells the rest.
unset 'loads'
for ((n = 0; n < count; n++)); do
    sed -i 's/"refresh": "30s"/"refresh": "1s"/' "$kit_dir/proxy$n/sluice.json"
    refresh=1s
    start_proxy $n
done
all_have routes_generation 11 || not_ok 'the proxies are back'
slowest=0
for ((generation = 12; generation <= 16; generation++)); do
    aws_python <<PY
import hashlib, json
old = table.get_item(Key={"pk": "active", "sk": "table"})["Item"]
text = json.dumps({"version": $generation, "rules": [{"id": "r", "when": {"user": "app"}, "to": "pg", "database": "one"}]})
name = hashlib.sha256(text.encode()).hexdigest()
table.put_item(Item={"pk": "document#" + name, "sk": "0000", "text": text})
table.put_item(Item={**old, "generation": $generation, "hash": name, "parts": 1, "author": "hand"})
PY
    since=$(date +%s%3N)
    all_have routes_generation "$generation" || not_ok "generation $generation arrives"
    took=$(($(date +%s%3N) - since))
    [ "$took" -le "$slowest" ] || slowest=$took
done
[ "$slowest" -le 2000 ] || not_ok "by hand, within two seconds: $slowest ms"
ok "by hand, with a refresh of a second, too (slowest of five: $slowest ms)"
routes_end
