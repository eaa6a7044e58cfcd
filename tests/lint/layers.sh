#!/usr/bin/env bash
# layers.sh BUILD: what the linker sees of the four layers.
#
#   - calls go down only: proxy -> auth, routing -> protocol; auth and routing do not know each other
#   - a name is defined once
#   - the pure layers call nothing that has an effect or an opinion of its own: no input or output, no
#     clock, no randomness, no environment
#   - no file-scope variable can be written (see DESIGN of ownership in proxy/README.md)
#   - call cycles between the files of one layer are printed, not refused
# Prints what is not so; exit status 1 then.
set -euo pipefail

build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

complain() {
    echo "$1"
    bad=1
}

for layer in protocol auth routing proxy; do
    # member.o: symbol kind, with the archive's and the member's name
    nm -A -P "$build/lib$layer.a" 2>/dev/null | sed -E 's/^[^[]*\[([^]]*)\]: /\1 /' |
        awk -v layer="$layer" '{ print layer, $1, $2, $3 }'
done >"$work/symbols"

# `LAYER FILE SYMBOL`: defined for others, and wanted from others
awk '$4 ~ /^[TDRBV]$/ { print $3, $1, $2 }' "$work/symbols" | sort -u >"$work/defined"
awk '$4 == "U" { print $3, $1, $2 }' "$work/symbols" | sort -u >"$work/wanted"
join "$work/wanted" "$work/defined" >"$work/calls" # SYMBOL LAYER FILE LAYER FILE

while read -r symbol from file to _; do
    case $from-$to in
    "$from-$from" | auth-protocol | routing-protocol | proxy-*) ;;
    *) complain "$from/${file%.o}.c calls up or across: $symbol is in $to/" ;;
    esac
done <"$work/calls"

while read -r symbol; do
    complain "$symbol is defined twice: $(awk -v s="$symbol" '$1 == s { printf "%s/%s ", $2, $3 }' "$work/defined")"
done < <(awk '{ print $1 }' "$work/defined" | uniq -d)

impure='^(open|openat|creat|read|write|pread|pwrite|close|socket|connect|bind|listen|accept|accept4|send|sendto|sendmsg|recv|recvfrom|recvmsg|poll|select|epoll_wait|fopen|fopen64|fdopen|fread|fwrite|fgets|fputs|puts|putchar|printf|__printf_chk|vprintf|__vprintf_chk|fprintf|__fprintf_chk|perror|syslog|time|clock|clock_gettime|gettimeofday|localtime|localtime_r|sleep|usleep|nanosleep|rand|rand_r|random|srandom|srand|drand48|getrandom|getentropy|arc4random|RAND_bytes|RAND_priv_bytes|getenv|secure_getenv|setenv|putenv|setlocale|getpid|getuid|getaddrinfo|gethostbyname|fork|execve|execvp|system|popen|exit|_exit|abort|signal|sigaction|pthread_.*|strtok|strerror|environ|stdout|stderr|stdin)$'
while read -r symbol layer file; do
    [ "$layer" != proxy ] || continue
    complain "$layer/${file%.o}.c is in a pure layer and calls $symbol"
done < <(awk -v impure="$impure" '$1 ~ impure' "$work/wanted")

# Writable data. (Constant tables of pointers are in .data.rel.ro: they are constant once loaded.)
for layer in protocol auth routing proxy; do
    while IFS='|' read -r name section; do
        [ "$name" != born ] || continue # how this process was started: proxy/sockets.c; one a process, as environ is
        complain "$layer: file-scope variable $name can be written ($section)"
    done < <(nm -f sysv "$build/lib$layer.a" 2>/dev/null | awk -F'|' '
        NF >= 7 { gsub(/ /, "", $1); gsub(/ /, "", $7); if ($4 ~ /OBJECT/ && $7 ~ /^\.(data|bss|tdata|tbss)/ && $7 !~ /rel\.ro/) print $1 "|" $7 }')
done

for layer in protocol auth routing proxy; do
    awk -v l="$layer" '$2 == l && $4 == l && $3 != $5 { print $3, $5 }' "$work/calls" | sort -u >"$work/edges"
    { tsort "$work/edges" || true; } 2>&1 >/dev/null | sed -n 's/^tsort: \([^ ]*\)\.o$/\1/p' | sort -u >"$work/cycle"
    [ ! -s "$work/cycle" ] || echo "# within $layer/, files whose calls go in circles: $(tr '\n' ' ' <"$work/cycle")"
done
exit "$bad"
