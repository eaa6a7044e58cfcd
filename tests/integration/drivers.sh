#!/usr/bin/env bash
# drivers.sh: psql and pgbench, every scenario; pgbench once more where BEGIN waits for its statement.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
DRIVERS="pgbench" TARGET=sluice-routed "$here/../drivers/run.sh"
DRIVERS="psql pgbench" TARGET=sluice exec "$here/../drivers/run.sh"
