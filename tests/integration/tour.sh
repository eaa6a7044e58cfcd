#!/usr/bin/env bash
# tour.sh: the demonstration of `make run DEMO=1`, step by step.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
port=''
free_port port
PORT=$port DEMO=1 exec "$root/deploy/run/run.sh"
