#!/usr/bin/env bash
# aws.sh: how Sluice gets its credentials, against moto; skips where PyPI cannot be reached.
set -euo pipefail
exec "$(cd "$(dirname "$0")" && pwd)/../aws/out.sh"
