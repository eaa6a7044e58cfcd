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
    refused '' sql "${as_ana/sslmode=verify-full/sslmode=disable}" 'select 1'
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
    refused '' sql "${as_ana/user=ana/user=remote}" 'select 1'
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

take_the_tour() {
    local steps=(
        'TLS, with the certificate verified' tls_is_verified
        'without TLS nobody comes in' plaintext_is_refused
        'rows are written by the loader and read by the analyst' rows_are_written_and_read
        'a client certificate instead of a password' certificate_instead_of_a_password
        'the warehouse sees the database users, not the people' the_warehouse_sees_its_own_user
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
