#!/usr/bin/env bash
# build.sh: makes build/deb/sluice_*.deb from what git has, and lints it. `make deb` calls it.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$PWD/build/deb
version=$(sed -n 's/^VERSION := //p' Makefile)
rm -rf "$out"
mkdir -p "$out/sluice-$version"
git ls-files Makefile LICENSE README.md protocol auth routing proxy tests/tests.mk deploy | tar -cf - -T - | tar -xf - -C "$out/sluice-$version"
mv "$out/sluice-$version/deploy/debian" "$out/sluice-$version/debian"
cd "$out/sluice-$version"
rm debian/build.sh
dpkg-buildpackage -us -uc -b >"$out/build.log" 2>&1 || {
    tail -30 "$out/build.log"
    exit 1
}
cd "$out"
lintian --fail-on error,warning --info sluice_*.changes
ls sluice_*.deb
