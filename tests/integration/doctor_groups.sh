#!/usr/bin/env bash
# doctor_groups.sh: who else a cluster lets in, said by sluice doctor. Skips where PyPI cannot be reached.
exec "$(dirname "$0")/../deploy/groups.sh"
