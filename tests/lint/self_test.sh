#!/usr/bin/env bash
# self_test.sh: plants one fault for every rule of lint.sh in a copy of the tree and sees that the rule
# finds it, and that nothing was wrong before. `make lint-test`.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files --cached --others --exclude-standard | tar cf - -T - 2>/dev/null | tar xf - -C "$copy"
cp -r .git "$copy/.git" 2>/dev/null
mkdir -p "$copy/build"
for built in build/lib*.a build/sluice build/lint; do # with their times: what was analysed is not looked at again
    [ ! -e "$built" ] || cp -a "$built" "$copy/build/"
done
passed=0 failed=0

# fault RULE FILE TEXT: appends TEXT to FILE; the rule must find it, and must not without it.
fault() {
    local rule=$1 file=$2 text=$3 verdict=ok
    (cd "$copy" && SLUICE_BUILD=build LINT=$rule tests/lint/lint.sh) >"$copy/before" || verdict='not ok (found without a fault)'
    [ ! -e "$copy/$file" ] || cp "$copy/$file" "$copy/kept"
    printf '%b' "$text" >>"$copy/$file"
    case $rule in
    'calls go'*) # is read from the archives
        gcc -c "$copy/$file" -I"$copy" -o "$copy/fault.o" && cp "$copy/build/librouting.a" "$copy/kept.a" &&
            ar rcs "$copy/build/librouting.a" "$copy/fault.o"
        ;;
    hardening) gcc -no-pie -Wl,-z,norelro,-z,lazy -o "$copy/$file" -x c - <<<'int main(void) { return 0; }' ;;
    esac
    ! (cd "$copy" && SLUICE_BUILD=build LINT=$rule tests/lint/lint.sh) >"$copy/after" || verdict='not ok (not found)'
    rm -f "$copy/$file"
    [ ! -e "$copy/kept" ] || mv "$copy/kept" "$copy/$file"
    [ ! -e "$copy/kept.a" ] || mv "$copy/kept.a" "$copy/build/librouting.a"
    if [ "$verdict" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    echo "$verdict - $rule: $file"
    [ "$verdict" = ok ] || sed 's/^/    /' "$copy/before" "$copy/after"
}

own='#include "routing/fault.h"\n'
: >"$copy/routing/fault.h"
fault 'code is formatted' routing/fault.c "${own}int   fault ;\n"
fault '100 columns' routing/fault.c "${own}/* $(printf '%0100d' 0) */\n"
fault '900 lines' routing/fault.c "${own}$(printf '\\n%.0s' {1..901})"
fault '40 lines' routing/README.md "$(printf 'x\\n%.0s' {1..41})"
fault 'fences' routing/fault.c "${own}#include <uv.h>\n"
fault 'fences' routing/fault.c '#include <string.h>\n#include "routing/fault.h"\n'
fault 'fences' routing/fault.c "${own}#include \"auth/sha.h\"\n"
fault 'fences' proxy/fault.c '#include "proxy/pass.h"\nstruct pass f(void);\nstruct pass f(void) { return (struct pass){ { 0 } }; }\n'
fault 'calls go' routing/fault.c 'int fault(void); long time(long *);\nint fault(void) { return (int)time(0); }\n'
fault 'calls go' routing/fault.c 'int fault(void); int sha256_hex(void);\nint fault(void) { return sha256_hex(); }\n'
fault 'calls go' routing/fault.c 'int fault = 3;\n'
fault 'calls go' routing/fault.c 'void glob_matches(void);\nvoid glob_matches(void) {}\n'
fault 'overruns' routing/fault.c "${own}void f(char *a) { strcpy(a, a); }\n"
fault 'only main' routing/fault.c "${own}void f(void) { exit(1); }\n"
fault 'constant time' auth/fault.c 'int f(void) { return memcmp(a, password, 8); }\n'
fault 'error queue' proxy/io/fault.c 'int f(SSL *s)\n{\n    return SSL_read(s, 0, 0);\n}\n'
# shellcheck disable=SC2016 # a name in Markdown
fault 'names are there' tests/README.md '| CVE-0000-0000 | `no_such_test_anywhere` |\n'
fault 'links between' fault.md '[a](README.md#no-such-heading)\n'
fault 'links between' fault.md '[a](no/such/file)\n'
# shellcheck disable=SC2016 # likewise
fault 'documents quote' fault.md '| message | cause |\n|---|---|\n| `nobody has ... ever said this` | x |\n'
fault 'left open' routing/fault.c "${own}/* TO""DO */\n"
# shellcheck disable=SC2016 # it is the fault
fault 'shellcheck' tests/fault.sh '#!/bin/bash\nrm -rf $1/\n'
fault 'cppcheck' routing/fault.c "${own}int f(void);\nint f(void)\n{\n    int a[2] = { 0 };\n    return a[3];\n}\n"
fault 'clang-tidy' routing/fault.c "${own}int f(int *p);\nint f(int *p)\n{\n    if (!p) return *p;\n    return 0;\n}\n"
# A binary that was linked without any of it.
[ ! -e "$copy/build/sluice" ] || fault 'hardening' build/sluice ''
[ ! -e "$copy/build/sluice" ] || fault 'references' fault.md '<!-- describe config -->\nnonsense\n<!-- end -->\n'
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
