#!/usr/bin/env bash
# sluice.sh DIR BINARY ARGUMENT...: becomes Sluice in DIR, as a user who is not root. The binary is
# copied there: that user may not be able to reach the build directory. SLUICE_FILES: so many descriptors, no more.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/env.sh"

dir=$1 binary=$2
shift 2
mkdir -p "$dir"
cp "$binary" "$dir/sluice"
hand_over "$dir"
cd "$dir"
[ -z "${SLUICE_FILES:-}" ] || ulimit -n "$SLUICE_FILES"
unprivileged "$dir/sluice" "$@"
