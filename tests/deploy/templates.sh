#!/usr/bin/env bash
# templates.sh: deploy/cloudformation as stacks in moto. Skips where PyPI cannot be reached.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/aws/world.sh
. "$(dirname "$0")/../aws/world.sh"

ensure_venv
kit_begin templates
moto_port=''
start_moto
"$venv/bin/python" "$root/tests/deploy/templates.py" "http://127.0.0.1:$moto_port" >"$kit_dir/tap" || {
    cat "$kit_dir/tap"
    tail -20 "$kit_dir/moto.log" >&2
    exit 1
}
cat "$kit_dir/tap"
echo "$(grep -c '^ok ' "$kit_dir/tap") passed, 0 failed"
