#!/usr/bin/env bash
# fuzz.sh BUILD SECONDS TARGET...: runs each fuzz target for so long, under ASan and UBSan, first over
# the saved inputs of tests/fuzz/corpus/TARGET. What it learns goes to BUILD/corpus/TARGET, what it
# breaks on to BUILD/crashes. The last line is `N passed, N failed`.
set -uo pipefail

build=$1 seconds=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
passed=0 failed=0
mkdir -p "$build/crashes"
for target in "$@"; do
    mkdir -p "$build/corpus/$target"
    seeds=()
    [ ! -d "$here/corpus/$target" ] || seeds=("$here/corpus/$target")
    words=()
    [ ! -f "$here/$target.dict" ] || words=("-dict=$here/$target.dict")
    if "$build/$target" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="$build/crashes/$target-" "${words[@]}" "$build/corpus/$target" "${seeds[@]}" \
        >"$build/$target.log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$target.log")
        echo "ok - $target: $runs runs in $seconds s, no finding"
        passed=$((passed + 1))
    else
        echo "not ok - $target"
        tail -60 "$build/$target.log" | sed 's/^/    /'
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
