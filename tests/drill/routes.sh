#!/usr/bin/env bash
# routes.sh: what is published reaches three proxies under load within two seconds, ten times.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/support/routes.sh
. "$support/routes.sh"
# shellcheck source=tests/drill/published.sh
. "$(dirname "$0")/published.sh"

refresh=30s
publish_for_a_while redis: 'ten changes are in force on three proxies, each'
routes_end
