#!/usr/bin/env bash
# redis.sh DIR PORT [redis-server option...]: becomes a private Redis, in the foreground, which keeps
# nothing on disk.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/env.sh"

dir=$1 port=$2
shift 2
mkdir -p "$dir"
hand_over "$dir"
unprivileged redis-server --bind 127.0.0.1 --port "$port" --dir "$dir" --save '' --appendonly no "$@"
