#!/usr/bin/env bash
# lint.sh: every rule of the house that a machine can check. One line each, `ok` or `not ok` with what
# was found; the last line is `N passed, N failed`. LINT=word: only rules with that word in their name.
# (self_test.sh plants a fault for every rule and sees that it is found.)
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${SLUICE_BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

check() { # NAME COMMAND...: the command prints what is wrong and fails
    local name=$1
    shift
    [[ $name == *"${LINT:-}"* ]] || return 0
    if "$@" >"$work/out" 2>&1; then
        echo "ok - $name"
        grep '^#' "$work/out" | sed 's/^/    /'
        passed=$((passed + 1))
    else
        echo "not ok - $name"
        sed 's/^/    /' "$work/out" | head -60
        failed=$((failed + 1))
    fi
}

files() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do [ ! -f "$f" ] || echo "$f"; done; }
mapfile -t code < <(files '*.c' '*.h')
mapfile -t product < <(files protocol auth routing proxy | grep '\.[ch]$')
mapfile -t sources < <(printf '%s\n' "${product[@]}" | grep '\.c$')
mapfile -t text < <(files | grep -v '^tests/lint/lint.sh$')
mapfile -t scripts < <(files | while read -r f; do if [[ $f == *.sh ]] || head -c 40 "$f" | grep -aqE '^#!.*\b(ba)?sh\b'; then echo "$f"; fi; done)

# What grep finds must be nothing.
nothing() { ! grep "$@" /dev/null; }

formatted() { clang-format --dry-run -Werror "${code[@]}" 2>&1; }

short_enough() {
    awk 'FNR == 1 { if (lines > 900) { print was ": " lines " lines, more than 900"; bad = 1 } } { lines = FNR; was = FILENAME }
         END { if (lines > 900) { print was ": " lines " lines, more than 900"; bad = 1 }; exit bad }' "${code[@]}"
}

layer_readmes_short() {
    local readme bad=0
    for readme in protocol auth routing proxy; do
        [ -f "$readme/README.md" ] || continue
        [ "$(wc -l <"$readme/README.md")" -le 40 ] || {
            echo "$readme/README.md: more than 40 lines"
            bad=1
        }
    done
    return $bad
}

# A reference in a document stands between `<!-- describe X -->` and `<!-- end -->` and is the output of
# `sluice describe X`, byte by byte.
references() {
    local document what bad=0
    while IFS=: read -r document what; do
        what=$(sed -E 's/.*<!-- describe ([a-z]+) -->.*/\1/' <<<"$what")
        awk -v at="<!-- describe $what -->" '$0 == at { on = 1; next } $0 == "<!-- end -->" { on = 0 } on' "$document" >"$work/stands"
        "$build/sluice" describe "$what" >"$work/is" || return 1
        diff -u --label "$document" --label "sluice describe $what" "$work/stands" "$work/is" || bad=1
    done < <(files '*.md' | xargs -r grep -H '^<!-- describe [a-z]* -->$' /dev/null)
    return $bad
}

# Comparing a secret byte by byte tells its length of agreement: CRYPTO_memcmp only.
secrets_compared_in_constant_time() {
    nothing -nE '\b(str(n|case|ncase)?cmp|memcmp)\([^()]*(password|passwd|secret|verifier|digest|proof|hmac|signature|stored_key|server_key|cookie|token[,)])' \
        "${product[@]}"
}

# OpenSSL's error queue is per thread: what an earlier call left there would be read as this call's.
openssl_queue_is_cleared() {
    awk '
    FNR == 1 { cleared = 0 }
    /^}/ { cleared = 0 }
    /ERR_clear_error\(/ { cleared = 1 }
    /(^|[^A-Za-z_])SSL_(read|write|read_ex|write_ex|do_handshake|accept|connect|shutdown|peek)\(/ {
        if (!cleared) { print FILENAME ":" FNR ": no ERR_clear_error() before it in this function: " $0; bad = 1 }
        cleared = 0
    }
    END { exit bad }' "${product[@]}" /dev/null
}

only_main_exits() {
    nothing -nE '\b(exit|_exit|quick_exit)\(' "${product[@]/#proxy\/main.c//dev/null}"
}

unsafe_functions() { nothing -nE '\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|alloca)\(' "${product[@]}"; }

# The tests that the table of known holes names.
# shellcheck disable=SC2016 # the backticks are Markdown's
named_tests_exist() {
    local name bad=0
    while read -r name; do
        grep -rqE --include='*.c' "static void $name\(" tests/unit tests/integration || {
            echo "tests/README.md: no test is called $name"
            bad=1
        }
    done < <(sed -n '/^| CVE-/p' tests/README.md | grep -oE '`[A-Za-z0-9_]+`' | tr -d '`' | sort -u)
    return $bad
}

left_open() { nothing -nIE '\b(TODO|FIXME|XXX|HACK)\b' "${text[@]}"; }

lines_fit() { LC_ALL=C.UTF-8 nothing -nE '^.{101,}' "${code[@]}"; }

tidy() { # what was found comes first: `check` shows the beginning
    make --no-print-directory -k analysis >"$work/tidy" 2>&1 && return
    grep -v '^ *TIDY' "$work/tidy"
    return 1
}

cpp_check() {
    cppcheck --quiet --error-exitcode=1 --std=c11 --language=c --enable=warning,portability -I. -Itests \
        --inline-suppr --suppress=missingInclude --suppress=missingIncludeSystem --suppress=ctuuninitvar --suppress=arrayIndexOutOfBoundsCond \
        --template='{file}:{line}: {severity}: {message} [{id}]' -D__GNUC__=12 -DSLUICE_VERSION='""' \
        "${sources[@]}"
}

check 'code is formatted (clang-format)' formatted
check 'lines have at most 100 columns' lines_fit
check 'files have at most 900 lines' short_enough
check 'layer READMEs have at most 40 lines' layer_readmes_short
check 'includes stay within the fences' tests/lint/fences.sh
check 'calls go down the layers; pure layers are pure' tests/lint/layers.sh "$build"
check 'no function that overruns or keeps a hidden state' unsafe_functions
check 'only main exits' only_main_exits
check 'secrets are compared in constant time' secrets_compared_in_constant_time
check "OpenSSL's error queue is empty before each call" openssl_queue_is_cleared
check 'hardening has reached the binary' tests/lint/hardening.sh "$build"
check 'tests that tests/README.md names are there' named_tests_exist
check 'links between documents lead somewhere' tests/lint/documents.py links
check 'messages that documents quote are in the source' tests/lint/documents.py messages
check 'nothing is left open in the tree' left_open
check 'generated references are up to date' references
check 'scripts (shellcheck)' shellcheck -x "${scripts[@]}"
check 'cppcheck' cpp_check
[ -n "${LINT_QUICK:-}" ] || check 'clang-tidy' tidy # minutes
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
