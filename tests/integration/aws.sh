#!/usr/bin/env bash
# aws.sh: how Sluice gets its credentials: against moto, and beside botocore. Skips where PyPI cannot be reached.
set -euo pipefail
here=$(cd "$(dirname "$0")/../aws" && pwd)
"$here/out.sh"
[ ! -x "$here/../../build/moto/bin/python" ] || SHORT=1 "$here/second_opinion.py"
