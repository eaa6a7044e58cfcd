#!/usr/bin/env bash
# drivers.sh: psql and pgbench, every scenario.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
DRIVERS="psql pgbench" TARGET=sluice exec "$here/../drivers/run.sh"
