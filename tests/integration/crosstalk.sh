#!/usr/bin/env bash
# crosstalk.sh: the cross-talk detector, for a moment; `make soak` is longer.
set -euo pipefail
soak=$(cd "$(dirname "$0")/../soak" && pwd)/soak.sh
export SOAK_ONLY_MODES=1
SOAK_SECONDS=50 SOAK_CLIENTS=200 SOAK_MODES=transaction "$soak"
SOAK_SECONDS=10 SOAK_CLIENTS=50 SOAK_MODES=session "$soak"
