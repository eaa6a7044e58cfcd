#!/usr/bin/env bash
# sluice.sh DIR BINARY ARGUMENT...: becomes Sluice in DIR, as a user who is not root. The binary is
# copied there: that user may not be able to reach the build directory.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/env.sh"

dir=$1 binary=$2
shift 2
mkdir -p "$dir"
cp "$binary" "$dir/sluice"
hand_over "$dir"
cd "$dir"
unprivileged "$dir/sluice" "$@"
