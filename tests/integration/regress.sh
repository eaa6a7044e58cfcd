#!/usr/bin/env bash
# regress.sh: what SQL answers through Sluice is what it answers directly.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
status=0
for mode in session transaction; do
    REGRESS_MODE=$mode "$here/../regress/run.sh" | sed "s/^\\(ok\\|not ok\\) /\\1 $mode: /" || status=1
done
exit $status
