#!/usr/bin/env bash
# route_file.sh: a routing table in a file: noticed when it changes, refused when it is not valid,
# published and rolled back by the command.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/support/routes.sh
. "$support/routes.sh"

routes_kit
for name in one two three; do table $name >"$kit_dir/$name.json"; done
routes_first=$kit_dir/one.json routes_cache='' refresh=1h
routes_begin file:routes.json 1
file=$kit_dir/proxy0/routes.json

all_send_to one || not_ok 'the table of the start'
ok 'the table of the start'
routes_load_start
cp "$kit_dir/two.json" "$file"
all_send_to two || not_ok 'written in place: noticed'
ok 'written in place: noticed'
cp "$kit_dir/three.json" "$kit_dir/proxy0/next" && mv "$kit_dir/proxy0/next" "$file"
all_send_to three || not_ok 'replaced: noticed'
ok 'replaced: noticed'
printf '{ "rules": [ { "id": "r", "to": "nowhere" } ] }' >"$file"
says 'routes.json:1: .*nowhere' || not_ok 'not valid: told with its line'
each_sends_to three || not_ok 'and the one before stays'
ok 'not valid: told with its line, and the one before stays'
printf '{ "rules": [' >"$file"
refused_twice() { [ "$(metric 0 routes_refused_total)" -ge 2 ]; }
until_so refused_twice || not_ok 'half a file: counted'
rm "$file"
each_sends_to three || not_ok 'half a file, or none: the one before stays'
ok 'half a file, or none: the one before stays'
cp "$kit_dir/one.json" "$file"
all_send_to one || not_ok 'there again: taken'
ok 'there again: taken'
wants 'published: its version is one more' 'generation 1 is in force' "$(route publish "$kit_dir/two.json" --author ana)"
all_send_to two || not_ok 'and taken'
wants 'published again' 'generation 2 is in force' "$(route publish "$kit_dir/three.json" --author ben)"
all_send_to three || not_ok 'and taken'
wants 'rolled back to what was made by hand' 'generation 3 is in force' "$(route rollback 0 --author ana)"
all_send_to one || not_ok 'and taken'
wants 'the history begins with it' 'found' "$(route history | tail -1)"
wants 'and has all' 'to generation 0' "$(route history | head -1)"
routes_load_end 'no statement and no login failed all the while'
routes_end
