#!/usr/bin/env bash
# lambda.sh: clients with nothing but an IAM role: psql, Python, a Lambda handler. Skips where PyPI cannot be reached.
exec "$(dirname "$0")/../aws/in.sh"
