# shellcheck shell=bash disable=SC2154
# world: what the tests of credentials out share. Source it after env.sh and kit_begin.
#
#   ensure_venv            $venv: moto and boto3 from PyPI; skips the test loudly where it cannot be had
#   ensure_npm             $modules: pg and the AWS SDK's signer from npm; fails where they cannot be had
#   start_moto             moto alone: $moto_port, and an environment without the user's AWS settings
#   start_world            moto, front.py before it, a warehouse with TLS: $moto_port $front_port $warehouse_port
#   ok, wants, refuses     one line of TAP each
#   front JSON             tells front.py what to do (see there); front_calls ACTION [KEY]: how often

venv=$root/build/moto
steps=0

ensure_venv() {
    one_at_a_time install_moto || {
        say "ok 1 # SKIP ${0##*/}: moto cannot be installed from PyPI"
        exit 0
    }
}

modules=$root/build/npm/node_modules

ensure_npm() { one_at_a_time install_npm; }

install_npm() {
    [ ! -d "$modules/@aws-sdk/client-dynamodb" ] || return 0
    mkdir -p "$root/build/npm"
    (cd "$root/build/npm" && npm install --silent --no-audit --no-fund --ignore-scripts pg @aws-sdk/credential-providers \
        @aws-sdk/client-dynamodb @smithy/node-http-handler @smithy/signature-v4 @smithy/protocol-http @aws-crypto/sha256-js) >"$kit_dir/npm.log" 2>&1 && [ -d "$modules/pg" ]
}

ok() {
    steps=$((steps + 1))
    say "ok $steps - $1"
}

not_ok() { # NAME DETAIL
    steps=$((steps + 1))
    say "not ok $steps - $1" "$2"
    tail -25 "$kit_dir/sluice.log" 2>/dev/null || true
    exit 1
}

wants() { # NAME EXPECTED TEXT
    case $3 in
    *"$2"*) ok "$1" ;;
    *) not_ok "$1" "wanted \"$2\" in: $3" ;;
    esac
}

equals() { # NAME EXPECTED GOT
    if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "wanted \"$2\", got: $3"; fi
}

front() { curl -sS --noproxy '*' -X POST --data "$1" "http://127.0.0.1:$front_port/-/" >/dev/null; }

front_calls() { # ACTION [KEY VALUE]
    curl -sS --noproxy '*' "http://127.0.0.1:$front_port/-/calls" | "$venv/bin/python" -c '
import json, sys
calls = json.load(sys.stdin).get(sys.argv[1], [])
print(len(calls if len(sys.argv) < 4 else [c for c in calls if c.get(sys.argv[2]) == sys.argv[3]]))' "$@"
}

moto_auth() { # N: signatures and policies are checked from the Nth request on
    curl -sS --noproxy '*' -X POST -H 'Content-Type: application/octet-stream' --data-binary "$1" "http://127.0.0.1:$moto_port/moto-api/reset-auth" >/dev/null
}

start_moto() { # moto alone, on $moto_port; nothing of the user's AWS settings is left in the environment
    free_port moto_port
    start moto "$venv/bin/moto_server" -H 127.0.0.1 -p "$moto_port"
    wait_port "$moto_port" "$started" || die 'moto did not start'
    unset "${!AWS_@}" https_proxy http_proxy HTTPS_PROXY HTTP_PROXY no_proxy NO_PROXY
    export AWS_EC2_METADATA_DISABLED=true
}

start_world() {
    start_moto
    free_port front_port
    free_port warehouse_port
    "$support/certs.sh" "$kit_dir/certs"
    printf '%s\n' 'local all all trust' 'hostssl all all 127.0.0.1/32 scram-sha-256' >"$kit_dir/hba"
    start_postgres "$kit_dir/warehouse" "$warehouse_port" --hba "$kit_dir/hba" --tls "$kit_dir/certs"
    "$pg_bin/psql" -qX -h "$kit_dir/warehouse" -p "$warehouse_port" -U postgres -d postgres -c 'create database dev'
    start front "$venv/bin/python" "$root/tests/aws/front.py" "$front_port" "$moto_port" "$kit_dir/warehouse" "$warehouse_port" "$pg_bin/psql"
    wait_port "$front_port" "$started" || die 'front.py did not start'
    export AWS_ENDPOINT_URL=http://127.0.0.1:$front_port
}
