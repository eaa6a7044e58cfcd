#!/usr/bin/env bash
# run.sh PROGRAM...: runs test programs, each with a time limit, and adds up.
#
#   TEST_JOBS=N       so many at once; without a word as many as there are processors, at most 4
#   TEST_LIMIT_S=400  for each
#   TEST_AGAIN=1      one that fails is run once more in the end, alone, and said to be shaky if it holds then
#
# A program prints TAP: `ok N - name`, `not ok N - name`, `# SKIP`. One that ends badly without having
# said `not ok` (a crash, a sanitizer's report, a time-out) counts as one failure more, and its output is shown.
# The last line is `N passed, N failed`; the exit status says the same.
set -uo pipefail

limit=${TEST_LIMIT_S:-400}
jobs=${TEST_JOBS:-$(nproc)}
[ "$jobs" -le 4 ] || [ -n "${TEST_JOBS:-}" ] || jobs=4
passed=0 failed=0 skipped=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
declare -A program_of=() since_of=() place_of=() # by process id
first_port=27000 ports=$((5000 / jobs)) # of each place, so that no two tests pick the same (see support/env.sh)
again=()

launch() { # PROGRAM
    local log place=0 first
    log=$logs/$(tr / + <<<"$1")
    while [[ " ${place_of[*]} " == *" $place "* ]]; do place=$((place + 1)); done
    first=$((first_port + place * ports))
    SLUICE_TEST_PORTS=$first-$((first + ports - 1)) CMOCKA_MESSAGE_OUTPUT=TAP \
        timeout --kill-after=10 "$limit" "$1" >"$log" 2>&1 </dev/null &
    program_of[$!]=$1 since_of[$!]=$SECONDS place_of[$!]=$place
}

# The next to end is told of, and counted or put down to be run again (`may_fail`).
reap() {
    local pid status program log took ok bad skip
    wait -n -p pid "${!program_of[@]}"
    status=$?
    program=${program_of[$pid]} took=$((SECONDS - since_of[$pid]))
    log=$logs/$(tr / + <<<"$program")
    unset "program_of[$pid]" "since_of[$pid]" "place_of[$pid]"
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
    if [ "$bad" -gt 0 ] && [ -n "${may_fail:-}" ]; then
        echo "shaky: ${program#"$PWD"/} failed and is run once more in the end:"
        grep -E -A3 '^not ok |ERROR' "$log" | head -20 | sed 's/^/    /'
        again+=("$program")
        return
    fi
    printf '%-44s %3d ok' "${program#"$PWD"/}" "$ok"
    [ "$skip" = 0 ] || printf ', %d skipped' "$skip"
    [ "$bad" = 0 ] || printf ', %d NOT OK' "$bad"
    [ "$took" -lt 5 ] || printf ', %d s' "$took"
    echo
    if [ "$bad" -gt 0 ]; then
        sed 's/^/    /' "$log" | tail -n "${TEST_LOG_LINES:-200}"
    else
        grep -E '# ?SKIP' "$log" | sed 's/^/    /'
    fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
}

may_fail=${TEST_AGAIN:-}
for program in "$@"; do
    [ "${#program_of[@]}" -lt "$jobs" ] || reap
    launch "$program"
done
while [ "${#program_of[@]}" -gt 0 ]; do reap; done
may_fail=''
for program in "${again[@]}"; do
    launch "$program"
    reap
done

[ "$skipped" = 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
