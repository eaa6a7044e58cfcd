#!/usr/bin/env bash
# fences.sh: every #include of the product stands in fences.txt; and each .c includes its own header first.
# Prints what does not, `FILE:LINE: ...`; exit status 1 then.
set -euo pipefail
cd "$(dirname "$0")/../.."

git ls-files --cached --others --exclude-standard -- protocol auth routing proxy | grep -E '\.(c|h|def)$' | sort |
    awk -v rules=tests/lint/fences.txt '
function glob(path, pattern) { # `*` is anything
    gsub(/[.+]/, "\\\\&", pattern)
    gsub(/\*/, ".*", pattern)
    return path ~ ("^" pattern "$")
}
function fits(name, prefix) { return index(name, prefix) == 1 && (prefix ~ /\/$/ || name == prefix) }
function in_list(name, list,    n, i, word) {
    n = split(list, word, " ")
    for (i = 1; i <= n; i++)
        if (word[i] in group ? in_list(name, group[word[i]]) : fits(name, word[i])) return 1
    return 0
}
function complain(text) { print file ":" FNR_ ": " text; bad = 1 }

BEGIN {
    while ((getline line < rules) > 0) {
        if (line ~ /^#/ || line !~ /:/) continue
        who = line; sub(/ *:.*/, "", who)
        what = line; sub(/^[^:]*: */, "", what)
        if (who ~ /^group /) { sub(/^group +/, "", who); group[who] = what; guarded = guarded " " what }
        else { fence[++fences] = who; may[fences] = what }
    }
    # Any header of a library is guarded too; only plain names without a fence are free.
    guarded = guarded " uv.h curl/ hiredis/ openssl/ cjson/ expat.h pcre2.h libpq-fe.h cmocka.h protocol/ auth/ routing/ proxy/ tests/"
}
{
    file = $0; FNR_ = 0; first = ""; may_now = ""; found = 0
    for (i = 1; i <= fences && !found; i++)
        if (glob(file, fence[i])) { may_now = may[i]; found = 1 }
    if (!found) complain("no fence for this file; add one to " rules)
    while ((getline line < file) > 0) {
        FNR_++
        if (line !~ /^[ \t]*#[ \t]*include/) continue
        name = line
        sub(/^[^<"]*[<"]/, "", name); sub(/[>"].*/, "", name)
        if (first == "") {
            first = name
            own = file; sub(/\.c$/, ".h", own)
            if (file ~ /\.c$/ && name != own && (getline ignored < own) >= 0) complain("includes " name " before its own header")
            close(own)
        }
        # our own headers are named from the top: "protocol/slice.h"
        if (line ~ /"/ && name !~ /^(protocol|auth|routing|proxy)\//) complain("\"" name "\": name it from the top of the tree")
        if (in_list(name, guarded) && !in_list(name, may_now)) complain("may not include " name)
    }
    close(file)
}
END { exit bad }
'

# Only the judge says what of a client may go to a server (proxy/pass.h).
if git grep -n --untracked '(struct pass)' -- proxy ':!proxy/judge.[ch]'; then
    echo 'a pass is made in proxy/judge.[ch] only'
    exit 1
fi
