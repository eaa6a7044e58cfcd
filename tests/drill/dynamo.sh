#!/usr/bin/env bash
# dynamo.sh: what is published in DynamoDB (moto's, which others wrote) reaches three proxies under load within two
# seconds, ten times: by the command, which tells Redis. By hand, without telling anybody, it takes a `refresh`.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/support/routes.sh
. "$support/routes.sh"
# shellcheck source=tests/drill/published.sh
. "$(dirname "$0")/published.sh"

routes_moto || exit 0
refresh=30s
publish_for_a_while dynamodb:sluice-routes 'ten changes in DynamoDB are in force on three proxies, each'
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
    arrives "$generation"
done
in_two_seconds 'by hand, with a refresh of a second,'
routes_end
