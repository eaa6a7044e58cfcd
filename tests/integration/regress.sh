#!/usr/bin/env bash
# regress.sh: what SQL answers through Sluice is what it answers directly.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/../regress/run.sh"
