#!/usr/bin/env bash
# deploy.sh: what is in deploy/, as far as no network is needed; `make lint-deploy` is the whole.
SHORT=1 exec "$(dirname "$0")/../deploy/lint.sh"
