#!/usr/bin/env bash
# postgres.sh DIR PORT [--auth METHOD | --hba FILE] [--tls CERTS] [--set NAME=VALUE]...
#
# Makes a PostgreSQL in DIR (which must not exist) and becomes it, in the foreground: 127.0.0.1:PORT
# and a socket in DIR. Nothing is synced to disk. SIGQUIT ends it at once.
#
#   --auth METHOD  for TCP: trust (default), md5, scram-sha-256, password, cert. The socket in DIR
#                  trusts everybody; superuser postgres.
#   --hba FILE     the whole of pg_hba.conf instead
#   --tls CERTS    a directory of certs.sh: TLS offered, client certificates of its CA accepted
#
# The result of initdb is kept in the build directory and copied, which takes a tenth of the time.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/env.sh"

dir=$1 port=$2
shift 2
auth=trust hba='' tls='' settings=()
while [ $# -gt 0 ]; do
    case $1 in
    --auth) auth=$2 ;;
    --hba) hba=$2 ;;
    --tls) tls=$2 ;;
    --set) settings+=("$2") ;;
    *) die "unknown option $1" ;;
    esac
    shift 2
done

template() {
    local version at scratch
    version=$("$pg_bin/postgres" --version | grep -oE '[0-9]+\.[0-9]+' | head -1)
    at=$build/cache/pgdata-$version
    mkdir -p "$build/cache"
    exec 9>"$build/cache/.lock"
    flock 9
    if [ ! -d "$at" ]; then
        scratch=$(mktemp -d)
        hand_over "$scratch"
        (unprivileged "$pg_bin/initdb" -D "$scratch/data" -A trust -N -E UTF8 --locale=C.UTF-8 -U postgres \
            --wal-segsize=1 </dev/null >/dev/null) || die "initdb failed"
        mv "$scratch/data" "$at"
        rmdir "$scratch"
    fi
    exec 9>&-
    echo "$at"
}

cp -a "$(template)" "$dir"
if [ -n "$hba" ]; then
    cp "$hba" "$dir/pg_hba.conf"
else
    type=host
    [ "$auth" != cert ] || type=hostssl
    printf '%s\n' 'local all all trust' "$type all all 127.0.0.1/32 $auth" >"$dir/pg_hba.conf"
fi
encryption=scram-sha-256
[ "$auth" != md5 ] || encryption=md5
cat >>"$dir/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$dir'
password_encryption = '$encryption'
max_connections = 300
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
jit = off
logging_collector = off
CONF
if [ -n "$tls" ]; then
    cp "$tls/ca.crt" "$tls/server.crt" "$tls/server.key" "$dir/"
    chmod 600 "$dir/server.key"
    printf '%s\n' 'ssl = on' "ssl_ca_file = 'ca.crt'" >>"$dir/postgresql.conf"
fi
for setting in "${settings[@]}"; do
    printf "%s = '%s'\n" "${setting%%=*}" "${setting#*=}" >>"$dir/postgresql.conf"
done
hand_over "$dir"
cd "$dir"
parent_gone_signal=QUIT unprivileged "$pg_bin/postgres" -D "$dir"
