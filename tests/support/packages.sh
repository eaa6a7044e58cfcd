#!/usr/bin/env bash
# packages: what a fresh Debian 12 or Ubuntu machine needs, by name. Does nothing where all is there.
#
#   packages.sh [build|run|test|lint|bench|drivers|package ...]     default: build test lint
# shellcheck disable=SC2034 # the sets are chosen by name
set -euo pipefail

build=(gcc make libc6-dev libuv1-dev libssl-dev libcjson-dev libhiredis-dev libcurl4-openssl-dev
    libexpat1-dev libpcre2-dev)
test=(postgresql postgresql-client postgresql-contrib libpq-dev libpg-query-dev prometheus-pgbouncer-exporter pgbouncer redis-server libcmocka-dev openssl python3 python3-venv gdb
    procps iproute2 util-linux curl)
run=(postgresql postgresql-client redis-server openssl procps util-linux)
lint=(clang-format clang clang-tidy cppcheck shellcheck binutils git)
bench=(pgbouncer strace util-linux)
package=(debhelper dpkg-dev fakeroot lintian)
image=(buildah debootstrap jq iproute2 util-linux)
odbc=(odbc-postgresql unixodbc)
metrics=(prometheus) # promtool, for the metrics' form
browser=(chromium fonts-dejavu-core nodejs npm)
drivers=(python3-venv default-jdk-headless maven odbc-postgresql unixodbc golang-go nodejs cargo
    libdbd-pg-perl ruby ruby-pg php-cli php-pgsql)

sets=("$@")
[ ${#sets[@]} -gt 0 ] || sets=(build test lint)

# The fuzzer's runtime is a package of its own, named after clang's version.
fuzz_runtime() {
    local version
    version=$(dpkg-query -W -f '${Depends}' clang 2>/dev/null | sed -n 's/.*clang-\([0-9]*\).*/\1/p')
    [ -z "$version" ] || echo "libclang-rt-$version-dev"
}

missing() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
    done
}

# A program that is there without its Debian package (another vendor's Node, Go, JDK) will do.
provided() {
    case $1 in
    nodejs) command -v node && command -v npm ;;
    npm) command -v npm ;;
    golang-go) command -v go ;;
    default-jdk-headless) command -v javac ;;
    maven) command -v mvn ;;
    cargo) command -v cargo ;;
    postgresql) ls /usr/lib/postgresql/*/bin/postgres ;;
    postgresql-client) ls /usr/lib/postgresql/*/bin/psql ;;
    postgresql-contrib) true ;;
    clang-format | clang | clang-tidy) command -v "$1" ;;
    *) false ;;
    esac >/dev/null 2>&1
}

want=()
for set in "${sets[@]}"; do
    declare -n list=$set
    want+=("${list[@]}")
done

need=()
for package in $(missing "${want[@]}"); do
    provided "$package" || need+=("$package")
done

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install() {
    [ $# -gt 0 ] || return 0
    command -v apt-get >/dev/null || {
        echo "packages: this is not Debian or Ubuntu; please install: $*" >&2
        exit 1
    }
    echo "packages: installing $*"
    as_root apt-get update -qq
    # A cluster of the distribution's own would be started at once, and is not wanted.
    as_root mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    # No init script may start a service either (Debian's policy-rc.d convention).
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$@" </dev/null
}

install "${need[@]}"
case " ${sets[*]} " in
*" lint "*)
    runtime=$(fuzz_runtime)
    # shellcheck disable=SC2046 # none or one word
    [ -z "$runtime" ] || install $(missing "$runtime")
    ;;
esac
