#!/usr/bin/env bash
# fresh.sh: a stranger with only the README, literally: a Debian of nothing but its base (debootstrap), a user who may
# use sudo, the tree as git has it, then what the README's first screen says, to a refused SELECT. Prints what each step took.
#
#   BASE=DIR    keeps the bare Debian there for the next time (default: made anew, and removed)
#   PORT=5439   where Sluice listens meanwhile
#
# As root on Debian or Ubuntu, with debootstrap and the network. The stranger's processes live in namespaces of their own
# for mounts and processes, and end with them. Exit status 0: refused, within five minutes.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
die() {
    printf 'fresh: %s\n' "$*" >&2
    exit 1
}
[ "$(id -u)" = 0 ] || die 'must run as root: it makes a root file system'
command -v debootstrap >/dev/null || die 'there is no debootstrap: apt-get install debootstrap'
PORT=${PORT:-5439}
work=$(mktemp -d "${TMPDIR:-/tmp}/sluice-fresh.XXXXXX")
trap 'rm -rf "$work"' EXIT
base=${BASE:-$work/base}

began=$SECONDS
step() { # WHAT
    printf '%4d s  %s\n' "$((SECONDS - began))" "$1"
}
[ -d "$base/etc/apt" ] || debootstrap --variant=minbase "${SUITE:-bookworm}" "$base" >"$work/debootstrap.log" 2>&1 ||
    die "debootstrap failed: $(tail -3 "$work/debootstrap.log")"
fresh=$work/root
cp -a "$base" "$fresh"
cp -L /etc/resolv.conf "$fresh/etc/resolv.conf"
# What a server or laptop has beside the base: a user, sudo, git. A container has not.
cat >"$fresh/root/prepare.sh" <<'IN'
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends sudo git ca-certificates >/dev/null
useradd --create-home --shell /bin/bash stranger
echo 'stranger ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/stranger
chown -R stranger: /srv/sluice.git
IN
# As the README says it, word by word, but for the name of the repository.
cat >"$fresh/root/stranger.sh" <<'IN'
set -e
cd
sudo apt-get install -y -qq make >/dev/null
git clone -q /srv/sluice.git sluice
cd sluice
exec make run PORT="$1"
IN
# The second terminal: the loader's line, pasted, with a SELECT.
cat >"$fresh/root/paste.sh" <<'IN'
line=$(sed -n 's/^  \(psql ".*user=events_loader.*\)$/\1/p' /home/stranger/said)
echo "$ $line -c 'select * from events'"
eval "$line -c 'select * from events'" 2>&1
IN
git clone -q --bare "$root" "$fresh/srv/sluice.git"
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$(hostname)" >"$fresh/etc/hosts"
chmod 755 "$fresh/root" "$fresh/root"/*.sh

inside() { chroot "$fresh" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"; }
all() {
    mount -t proc proc "$fresh/proc"
    mount -t sysfs -o ro sys "$fresh/sys"
    mount -t tmpfs tmpfs "$fresh/tmp" -o mode=1777
    mount --rbind /dev "$fresh/dev"
    inside bash /root/prepare.sh >"$work/prepare.log" 2>&1 || die "the base cannot be prepared: $(tail -5 "$work/prepare.log")"
    began=$SECONDS
    step 'a bare Debian with sudo and git; the clock starts'
    local said=$fresh/home/stranger/said stranger tries last='' now
    inside su stranger -c "bash /root/stranger.sh $PORT" >"$said" 2>&1 </dev/null &
    stranger=$!
    for ((tries = 0; tries < 1200; tries++)); do
        now=$(grep -aoE '^(packages: installing|  CC|  LINK|Starting a warehouse|Starting Sluice|Sluice listens)' "$said" | tail -1 | sed 's/  CC/compiling/; s/  LINK/linked/' || true)
        [ "$now" = "$last" ] || step "$now"
        last=$now
        [ "$now" != 'Sluice listens' ] || break
        kill -0 "$stranger" 2>/dev/null || break
        sleep 0.5
    done
    [ "$last" = 'Sluice listens' ] || {
        tail -30 "$said"
        die 'the README did not get there'
    }
    inside su stranger -c 'bash /root/paste.sh' >"$work/pasted" 2>&1 || true
    local took=$((SECONDS - began))
    step 'a SELECT by the loader'
    cat "$work/pasted"
    grep -q 'permission denied by proxy' "$work/pasted" || die 'the SELECT was not refused'
    [ "$took" -lt 300 ] || die "refused, but after $took s"
    printf 'ok - from a bare machine to a refused SELECT in %d s\n' "$took"
}
export -f all inside step die
export fresh work PORT SECONDS began
unshare --mount --pid --fork --kill-child bash -euo pipefail -c all
