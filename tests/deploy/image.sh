#!/usr/bin/env bash
# image.sh: deploy/docker/Dockerfile is built and its image run, without a docker daemon. buildah builds it; its base, under
# the name that FROM asks for, is a Debian of debootstrap's (minbase, made slim likewise), not the registry's.
# The image then runs as its own metadata says (user, entry point, command, health check, stop signal), in namespaces of its
# own for mounts, processes, network and IPC: read-only root, no new privileges, no capability, a tmpfs at /run/sluice. A
# psql from outside goes through it, over verified TLS, to a real PostgreSQL. What this is not: a run by docker, or by
# containerd, with their seccomp profile. TAP.
#
#   STORE=DIR   keeps the image and the bare Debian for the next time (default: made anew, and removed)
#
# As root on Debian, with buildah, debootstrap and the network; says SKIP without. `make image-test` installs both.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
cd "$root"
skip() {
    echo "ok 1 # SKIP the container image: $*"
    echo '0 passed, 0 failed'
    exit 0
}

if [ -z "${SLUICE_TEST_HOUSE:-}" ]; then
    is_root || skip 'must run as root: it makes a root file system'
    for tool in buildah debootstrap unshare nsenter jq; do command -v $tool >/dev/null || skip "there is no $tool"; done
    unshare -n ip link add try0 type veth peer name try1 2>/dev/null || skip 'network namespaces cannot be made here'
    if [ -z "${STORE:-}" ]; then
        STORE=$(mktemp -d "${TMPDIR:-/tmp}/sluice-image.XXXXXX")
        trap 'rm -rf "$STORE"' EXIT
    fi
    mkdir -p "$STORE"
    export STORE
    images() { buildah --root "$STORE/images" --runroot "$STORE/run" --storage-driver vfs "$@"; }
    if ! images inspect --type image debian:bookworm-slim >/dev/null 2>&1; then
        debootstrap --variant=minbase bookworm "$STORE/debian" >"$STORE/debootstrap.log" 2>&1 ||
            skip "debootstrap: $(tail -1 "$STORE/debootstrap.log")"
        # What makes it slim, as the registry's is: no caches of apt, no documents, no translations.
        printf '%s\n' 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };' \
            'Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";' >"$STORE/debian/etc/apt/apt.conf.d/docker-clean"
        printf '%s\n' 'path-exclude /usr/share/doc/*' 'path-include /usr/share/doc/*/copyright' 'path-exclude /usr/share/locale/*' \
            'path-exclude /usr/share/man/*' >"$STORE/debian/etc/dpkg/dpkg.cfg.d/docker"
        rm -rf "$STORE"/debian/var/cache/apt/* "$STORE"/debian/var/lib/apt/lists/* "$STORE"/debian/usr/share/{locale,man}/*
        find "$STORE/debian/usr/share/doc" -type f ! -name copyright -delete
        base=$(images from scratch)
        images add -q "$base" "$STORE/debian" / >/dev/null
        images config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd bash "$base"
        images commit -q --rm "$base" debian:bookworm-slim >/dev/null
        rm -rf "$STORE/debian"
    fi
    # What git has, as a stranger has it; the Dockerfile as it is. Docker's format has the health check, OCI's has not.
    mkdir -p "$STORE/source"
    git ls-files -z | xargs -0 cp --parents -t "$STORE/source"
    if ! images bud --isolation chroot --format docker --pull-never -f "$STORE/source/deploy/docker/Dockerfile" -t sluice "$STORE/source" \
        >"$STORE/build.log" 2>&1; then
        tail -30 "$STORE/build.log"
        echo 'not ok 1 - the Dockerfile builds'
        echo '0 passed, 1 failed'
        exit 1
    fi
    images inspect --type image sluice | jq .Docker.config >"$STORE/config.json"
    container=$(images from --pull-never sluice)
    IMAGE_ROOT=$(images mount "$container")
    IMAGE_SIZE="$(images images --format '{{.Size}}' sluice), of which the base $(images images --format '{{.Size}}' debian:bookworm-slim)"
    export IMAGE_ROOT IMAGE_SIZE
    status=0
    SLUICE_TEST_HOUSE=1 unshare -n "$0" || status=$?
    images rm "$container" >/dev/null
    exit $status
fi

# ---- in a network of its own: 10.81.0.1 is the machine outside, 10.81.0.2 the container ----------------------------
kit_begin image
ip link set lo up
n=0 bad=0
verdict() { # NAME WANTED GOT
    n=$((n + 1))
    if [[ $3 == *"$2"* ]]; then say "ok $n - $1"; else
        say "not ok $n - $1" "    wanted $2, got: ${3:0:1500}"
        bad=$((bad + 1))
    fi
}
of_image() { jq -r "$1" "$STORE/config.json"; }
mapfile -t command < <(of_image '(.Entrypoint + .Cmd)[]')
mapfile -t health < <(of_image '.Healthcheck.Test[1:][]')
user=$(of_image .User)
verdict 'the Dockerfile builds, unchanged' MB "$IMAGE_SIZE"
say "# $IMAGE_SIZE"
verdict 'its user is not root' '10439:10439' "$user"
verdict 'no compiler is left in it' none "$(find "$IMAGE_ROOT/usr/bin" -name '*gcc*' -o -name make | grep . || echo none)"
verdict 'no setuid program is new in it' none \
    "$(find "$IMAGE_ROOT" -xdev -perm /6000 -type f -newer "$IMAGE_ROOT/usr/bin/sluice" | grep . || echo none)"

pg_port=5432
printf '%s\n' 'local all all trust' 'host all all 10.81.0.0/24 scram-sha-256' >"$kit_dir/hba"
"$support/certs.sh" "$kit_dir/certs"
start_house() {
    start house unshare -n sleep 3600
    house=$started
    until [ "$(readlink "/proc/$house/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
    ip link add outside type veth peer name eth0 netns "$house"
    ip address add 10.81.0.1/24 dev outside
    ip link set outside up
    nsenter -t "$house" -n ip address add 10.81.0.2/24 dev eth0
    nsenter -t "$house" -n ip link set eth0 up
    nsenter -t "$house" -n ip link set lo up
}
start_house
start_postgres "$kit_dir/pg" $pg_port --hba "$kit_dir/hba" --set "listen_addresses=10.81.0.1"
"$pg_bin/psql" -qX -h "$kit_dir/pg" -p $pg_port -U postgres -c "create user loader password 'secret'" \
    -c 'create table events (n int)' -c 'grant insert on events to loader'

mkdir "$kit_dir/etc"
cp "$kit_dir/certs/server.crt" "$kit_dir/certs/server.key" "$kit_dir/etc/"
printf secret >"$kit_dir/etc/password"
cat >"$kit_dir/etc/sluice.json" <<'JSON'
{ "server_id": "image", "workers": 1, "drain_timeout": "2s",
  "listen": [ { "address": "0.0.0.0:5439", "tls": { "mode": "require", "certificate": "server.crt", "key": "file:server.key" } } ],
  "health": { "address": "0.0.0.0:8439" },
  "clusters": { "warehouse": { "endpoint": "warehouse:5432", "tls": { "mode": "disable" }, "max_connections": 4,
                "credentials": { "source": "static", "users": { "loader": "file:password" } } } },
  "users": { "events_loader": { "auth": [ "scram-sha-256" ], "password": "file:password", "role": "loader", "db_user": "loader" } },
  "roles": { "loader": { "insert_only": [ "public.events" ], "search_path": "public" } },
  "access": [ { "from": "10.81.0.1/32", "users": [ "events_loader" ], "tls": true } ],
  "pool": { "mode": "transaction", "size": 2 } }
JSON
chown -R "$user" "$kit_dir/etc"
chmod 600 "$kit_dir/etc/server.key" "$kit_dir/etc/password"

printf '%s\n' '127.0.0.1 localhost' '10.81.0.1 warehouse' >"$IMAGE_ROOT/etc/hosts" # as docker does
# As `docker run --read-only --tmpfs /run/sluice -v etc:/etc/sluice:ro --security-opt no-new-privileges --cap-drop ALL`.
confined() {
    mount --make-rprivate /
    mount --bind "$IMAGE_ROOT" "$IMAGE_ROOT"
    mount -t proc proc "$IMAGE_ROOT/proc"
    mount -t tmpfs -o mode=755,size=64k tmpfs "$IMAGE_ROOT/dev"
    local device
    for device in null zero random urandom; do
        touch "$IMAGE_ROOT/dev/$device"
        mount --bind "/dev/$device" "$IMAGE_ROOT/dev/$device"
    done
    mkdir -p "$IMAGE_ROOT/etc/sluice"
    mount --bind "$kit_dir/etc" "$IMAGE_ROOT/etc/sluice"
    mount -o remount,bind,ro "$IMAGE_ROOT/etc/sluice"
    mount -t tmpfs -o "uid=${user%:*},gid=${user#*:},mode=700,size=1m" tmpfs "$IMAGE_ROOT/run/sluice"
    mount -o remount,bind,ro "$IMAGE_ROOT"
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$IMAGE_ROOT" setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups \
        --bounding-set=-all --inh-caps=-all --no-new-privs "${command[@]}"
}
container() { nsenter -t "$house" -n unshare --mount --pid --ipc --uts --fork --kill-child bash -euo pipefail -c \
    "$(declare -p command IMAGE_ROOT kit_dir user); $(declare -f confined); confined"; }
# The process of the image that has the namespaces, seen from here.
inside() { nsenter -t "$sluice" -m -p -n -- chroot "$IMAGE_ROOT" setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups --bounding-set=-all "$@" 2>&1; }
healthy() {
    local status=0 said
    said=$(inside "${health[@]}") || status=$?
    echo "exit $status: $said"
}

start container container
for ((tries = 0; tries < 200; tries++)); do
    (exec 3<>/dev/tcp/10.81.0.2/5439) 2>/dev/null && break
    kill -0 "$started" 2>/dev/null || break
    sleep 0.05
done
unshared=$(pgrep -P "$started" -x unshare || echo "$started")
sluice=$(pgrep -P "$unshared" || true)
[ -n "$sluice" ] || { cat "$kit_dir/container.log"; die 'the container does not run'; }
verdict 'it runs, as its command says' '/usr/bin/sluice run --config /etc/sluice/sluice.json' "$(tr '\0' ' ' <"/proc/$sluice/cmdline")"
verdict 'as its user' '10439' "$(stat -c %u "/proc/$sluice")"
verdict 'with no capability' 'CapEff:0000000000000000 CapBnd:0000000000000000' \
    "$(grep -E '^Cap(Eff|Bnd)' "/proc/$sluice/status" | tr -d '\t' | tr '\n' ' ')"
verdict 'its root is read-only' 'Read-only' "$(inside touch /var/lib/sluice/x || true)"
verdict 'the health check of the image is well' 'exit 0' "$(healthy)"

export PGSSLROOTCERT=$kit_dir/certs/ca.crt PGPASSWORD=secret
ask() { "$pg_bin/psql" -wqXAt "host=localhost hostaddr=10.81.0.2 port=5439 user=events_loader dbname=postgres sslmode=verify-full" -c "$1" 2>&1 || true; }
verdict 'an INSERT from outside goes through' 'INSERT 0 1' "$("$pg_bin/psql" -wXAt "host=localhost hostaddr=10.81.0.2 port=5439 user=events_loader dbname=postgres sslmode=verify-full" -c 'insert into events values (7)' 2>&1 || true)"
verdict 'and arrives' 7 "$("$pg_bin/psql" -qXAt -h "$kit_dir/pg" -p $pg_port -U postgres -c 'select n from events')"
verdict 'a SELECT is refused' 'permission denied by proxy' "$(ask 'select * from events')"
verdict 'it has the authorities that AWS is believed by' ok \
    "$([ -s "$IMAGE_ROOT/etc/ssl/certs/ca-certificates.crt" ] && echo ok)"

kill -s "$(of_image .StopSignal)" "$sluice"
status=0
wait "$started" || status=$?
verdict 'its stop signal ends it, and well' 0 "$status"
status=0
nsenter -t "$house" -n chroot --userspec "$user" "$IMAGE_ROOT" "${health[@]}" >/dev/null 2>&1 || status=$?
verdict 'the health check then says that nobody is there' 1 "$status"
case $(cat "$kit_dir/container.log") in *secret*) verdict 'no secret in its log' none found ;; *) verdict 'no secret in its log' '' '' ;; esac
say "1..$n" "$((n - bad)) passed, $bad failed"
[ "$bad" = 0 ]
