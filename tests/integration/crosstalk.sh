#!/usr/bin/env bash
# crosstalk.sh: the cross-talk detector, for a moment; `make soak` is longer.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
SOAK_ONLY_MODES=1 SOAK_SECONDS=15 SOAK_CLIENTS=50 SOAK_MODES="session transaction" exec "$here/../soak/soak.sh"
