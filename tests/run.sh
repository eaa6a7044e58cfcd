#!/usr/bin/env bash
# run.sh PROGRAM...: runs test programs, each with a time limit, and adds up.
#
# A program prints TAP: `ok N - name`, `not ok N - name`, `# SKIP`. One that ends badly without having
# said `not ok` (a crash, a sanitizer's report, a time-out) counts as one failure more, and its output is shown.
# The last line is `N passed, N failed`; the exit status says the same.
set -uo pipefail

limit=${TEST_LIMIT_S:-300}
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

run_one() { # PROGRAM: its output in $log, its status in $status
    CMOCKA_MESSAGE_OUTPUT=TAP timeout --kill-after=10 "$limit" "$1" >"$log" 2>&1 </dev/null
    status=$?
}

for program in "$@"; do
    since=$SECONDS
    run_one "$program"
    if [ -n "${TEST_AGAIN:-}" ] && { [ "$status" != 0 ] || grep -E '^not ok ' "$log" | grep -Evq '# ?SKIP'; }; then
        echo "shaky: ${program#"$PWD"/} failed and is run once more:"
        grep -E -A3 '^not ok |ERROR' "$log" | head -20 | sed 's/^/    /'
        run_one "$program"
    fi
    # (cmocka 1.1.5 calls a skipped test `not ok N # SKIP name`.)
    skip=$(grep -Ec '^(not )?ok .*# ?SKIP' "$log")
    ok=$(grep -E '^ok ' "$log" | grep -Evc '# ?SKIP')
    bad=$(grep -E '^not ok ' "$log" | grep -Evc '# ?SKIP')
    [ "$status" = 0 ] || [ "$bad" -gt 0 ] || {
        bad=1
        if [ "$status" = 124 ]; then
            echo "not ok - $program: took more than $limit s" >>"$log"
        else
            echo "not ok - $program: ended with status $status" >>"$log"
        fi
    }
    [ "$status" != 0 ] || [ $((ok + bad + skip)) -gt 0 ] || {
        bad=1
        echo "not ok - $program: ran no test" >>"$log"
    }
    printf '%-44s %3d ok' "${program#"$PWD"/}" "$ok"
    [ "$skip" = 0 ] || printf ', %d skipped' "$skip"
    [ "$bad" = 0 ] || printf ', %d NOT OK' "$bad"
    [ $((SECONDS - since)) -lt 5 ] || printf ', %d s' $((SECONDS - since))
    echo
    if [ "$bad" -gt 0 ]; then
        sed 's/^/    /' "$log" | tail -n "${TEST_LOG_LINES:-200}"
    else
        grep -E '# ?SKIP' "$log" | sed 's/^/    /'
    fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
done

[ "$skipped" = 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
