#!/usr/bin/env bash
# psql.sh: psql as people use it. Says `ok NAME` or `not ok NAME - why`.
set -uo pipefail
bad=0

verdict() { # NAME WANTED GOT
    if [ -z "${SCENARIOS:-}" ]; then
        [ "$1" != refused ] || return 0
    else
        [[ ,$SCENARIOS, == *,$1,* ]] || return 0
    fi
    if [[ $3 == *"$2"* ]]; then
        echo "ok $1"
    else
        echo "not ok $1 - wanted $2, got $(tr '\n' ' ' <<<"$3" | cut -c1-300)"
        bad=1
    fi
}

run() { psql -wqXAt "$@" 2>&1; }

verdict login "${PGUSER#*:}" "$(run -c 'select current_user')"
verdict simple '1|zwei|' "$(run -c "select 1, 'zwei', null")"
verdict params "it's 42" "$(run <<<"\\set text 'it''s '
select :'text' || 42;" | tail -1)"
# shellcheck disable=SC2016 # $1 is PostgreSQL's
verdict prepared '14' "$(run <<<'prepare double(int) as select $1 * 2;
execute double(1); execute double(2); execute double(3); execute double(4); execute double(5); execute double(6); execute double(7);' | tail -1)"
verdict transaction '0' "$(run <<<"begin;
insert into driver_rows values ('psql', 1);
rollback;
select count(*) from driver_rows where driver = 'psql';")"
verdict cursor '1000' "$(run -v FETCH_COUNT=10 -c 'select n from generate_series(1, 1000) n' | tail -1)"
verdict big '3000001' "$(run -c "select repeat('y', 3000000)" | wc -c)"
verdict error '7' "$(run <<<'select 1/0;
select 7;' | tail -1)"
verdict describe 'driver' "$(run -c '\d driver_rows')"
verdict describe-all 'driver_rows' "$(run -c '\d' -c '\dt+' -c '\du' -c '\l')"
verdict copy 'c|3' "$(run <<<"begin;
\\copy driver_rows from stdin
a	1
b	2
c	3
\\.
\\copy (select driver, n from driver_rows where driver = 'c') to stdout with delimiter '|'
rollback;")"
verdict watch '5' "$(timeout -s INT 3 psql -wqXAt <<<'select 5 \watch 0.5' 2>&1)"
since=$(date +%s)
verdict cancel 'canceling statement' "$(timeout -s INT 1 psql -wqXAt -c 'select pg_sleep(20)' 2>&1)"
[ $(($(date +%s) - since)) -lt 10 ] || bad=1
verdict refused 'went on' "$(run <<<"select * from driver_rows;
insert into driver_rows values ('refused', 1);
select 'went on';" | grep -A9 'permission denied')"
verdict reconnect '8' "$(run <<<'\c
select 8;')"
exit $bad
