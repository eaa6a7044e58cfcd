#!/usr/bin/env bash
# loader.sh: a loader in Lambda that may load and nothing else, end to end. Skips where PyPI or npm cannot be reached.
exec "$(dirname "$0")/../aws/loader.sh"
