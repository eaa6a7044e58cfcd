# shellcheck shell=bash disable=SC2154 # sourced by run.sh, with its variables
# tour: what the demonstration shows, step by step. Each step is a sentence and a function; a later
# feature adds its own to the list at the end.
#
#   wants TEXT CMD...     CMD succeeds and says TEXT
#   refused TEXT CMD...   CMD fails and says TEXT

sql() { # CONNECTION STATEMENT...
    local connection=$1 words=() statement
    shift
    for statement in "$@"; do words+=(-c "$statement"); done
    "$pg_bin/psql" -wqXAt -v ON_ERROR_STOP=1 "${words[@]}" "$connection"
}

wants() {
    local text=$1 said
    shift
    said=$("$@" 2>&1) || {
        printf '      failed: %s\n' "$said"
        return 1
    }
    [[ $said == *"$text"* ]] || {
        printf '      said:   %s\n      wanted: %s\n' "$said" "$text"
        return 1
    }
}

refused() {
    local text=$1 said
    shift
    ! said=$("$@" 2>&1) || {
        printf '      was not refused: %s\n' "$said"
        return 1
    }
    [[ $said == *"$text"* ]] || {
        printf '      said:   %s\n      wanted: %s\n' "$said" "$text"
        return 1
    }
    printf '      (%s)\n' "${said##*$'\n'}"
}

tls_is_verified() {
    wants 'verify-full' sql "$as_ana" "select 'verify-full'" &&
        refused 'certificate verify failed' sql "${as_ana/$certs\/ca.crt/$certs\/stranger-ca.crt}" 'select 1' &&
        refused 'does not match host name' sql "${as_ana/host=localhost/host=elsewhere hostaddr=127.0.0.1}" 'select 1'
}

plaintext_is_refused() {
    refused 'TLS connections only' sql "${as_ana/sslmode=verify-full/sslmode=disable}" 'select 1'
}

rows_are_written_and_read() {
    local values
    values=$(seq -f "(%g, 'demo')" -s , 1 1000)
    wants '' sql "$as_loader" "insert into public.events (id, kind) values $values" &&
        wants '1000|500500' sql "$as_ana" "select count(*), sum(id) from public.events where kind = 'demo'" &&
        wants '1000' superuser -d dev -c 'select count(*) from public.events' # and it is in the warehouse itself
}

certificate_instead_of_a_password() {
    wants '31' sql "$as_ops" 'select count(*) from mart.sales'
}

a_wrong_password_is_refused() {
    refused 'authentication failed' sql "${as_ana/password=$ana_password/password=wrong}" 'select 1'
}

a_wrong_address_is_refused() {
    refused 'not allowed from this address' sql "${as_ana/user=ana/user=remote}" 'select 1'
}

the_warehouse_sees_its_own_user() {
    wants 'ana' sql "$as_ana" 'select current_user' &&
        wants 'loader' sql "$as_loader" 'select current_user'
}

a_query_is_cancelled() {
    local t=mart.sales # 31 to the power of 7 rows
    refused 'canceling statement' timeout -s INT 1 "$pg_bin/psql" -wqXAt "$as_ana" \
        -c "select count(*) from $t a, $t b, $t c, $t d, $t e, $t f, $t g"
}

the_loader_may_only_insert() {
    refused 'SELECT on public.events is not granted' sql "$as_loader" 'select * from public.events' &&
        refused 'statement 2 of 2' sql "$as_loader" "insert into public.events (id, kind) values (0, 'x'); drop table public.events" &&
        wants '0' sql "$as_ana" 'select count(*) from public.events where id = 0'
}

half_a_job_is_not_committed() {
    "$pg_bin/psql" -wqXAt -v ON_ERROR_STOP=0 "$as_loader" >"$kit_dir/half" 2>&1 <<'SQL'
begin;
insert into public.events (id, kind) values (-1, 'half');
delete from public.events;
commit;
SQL
    grep -q 'DELETE is not allowed' "$kit_dir/half" &&
        wants '0' sql "$as_ana" "select count(*) from public.events where kind = 'half'"
}

the_policy_can_be_asked() {
    wants 'allow' "$binary" policy test --config "$home/sluice.json" --role loader "insert into staging.s values (1)" &&
        refused 'deny' "$binary" policy test --config "$home/sluice.json" --role loader 'truncate staging.s'
}

settings_follow_their_client() {
    wants 'Asia/Tokyo' sql "$as_ana" "set timezone to 'Asia/Tokyo'" 'select 1' 'show timezone' &&
        wants 'UTC' sql "$as_ana options='-c timezone=UTC'" 'show timezone'
}

desktop_tools_see_the_tables() {
    wants 'events' sql "$as_ana" '\d'
}

many_clients_share_few_servers() {
    local at pids=()
    for at in {1..40}; do
        sql "$as_loader" "insert into public.events (id, kind) values ($at, 'many')" &
        pids+=($!)
    done
    wait "${pids[@]}"
    wants '40' sql "$as_ana" "select count(*) from public.events where kind = 'many'"
}

take_the_tour() {
    local steps=(
        'TLS, with the certificate verified' tls_is_verified
        'without TLS nobody comes in' plaintext_is_refused
        'rows are written by the loader and read by the analyst' rows_are_written_and_read
        'a client certificate instead of a password' certificate_instead_of_a_password
        'the warehouse sees the database users, not the people' the_warehouse_sees_its_own_user
        'the loader may INSERT and nothing else' the_loader_may_only_insert
        'a refusal inside a transaction commits no half of it' half_a_job_is_not_committed
        'the policy answers on the command line' the_policy_can_be_asked
        'desktop tools see the tables that are there' desktop_tools_see_the_tables
        'settings follow their client from server to server' settings_follow_their_client
        'forty clients on four servers' many_clients_share_few_servers
        'Ctrl-C cancels the query' a_query_is_cancelled
        'a wrong password is refused' a_wrong_password_is_refused
        'a wrong address is refused' a_wrong_address_is_refused
    ) at held=0 missed=0
    say "" "The tour:"
    for ((at = 0; at < ${#steps[@]}; at += 2)); do
        if "${steps[at + 1]}"; then
            say "ok $((at / 2 + 1)) - ${steps[at]}"
            held=$((held + 1))
        else
            say "not ok $((at / 2 + 1)) - ${steps[at]}"
            missed=$((missed + 1))
        fi
    done
    say "$held of $((held + missed)) steps held"
    [ "$missed" = 0 ]
}
