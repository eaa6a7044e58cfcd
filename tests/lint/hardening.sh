#!/usr/bin/env bash
# hardening.sh BUILD: whether the compiler's and the linker's hardening reached BUILD/sluice, by what readelf says.
# What is wrong, a line each; fails then.
set -uo pipefail
build=$1 binary=$1/sluice bad=0
wrong() {
    echo "$binary: $*"
    bad=1
}
[ -x "$binary" ] || { echo "$binary is not built"; exit 1; }
head=$(readelf -hW "$binary") segments=$(readelf -lW "$binary") dynamic=$(readelf -dW "$binary") symbols=$(readelf -sW --dyn-syms "$binary")
{ grep -q 'Type: *DYN' <<<"$head" && grep -q 'FLAGS_1.*PIE' <<<"$dynamic"; } || wrong 'is not position-independent (-fPIE -pie)'
grep -q GNU_RELRO <<<"$segments" || wrong 'relocations stay writable (-z relro)'
grep -q 'BIND_NOW' <<<"$dynamic" || wrong 'symbols are bound late (-z now)'
grep -q 'GNU_STACK.* RW  ' <<<"$segments" || wrong 'the stack may be executed (-z noexecstack)'
! grep -q 'LOAD.* RWE ' <<<"$segments" || wrong 'a segment can be written and executed'
! grep -qE 'RPATH|RUNPATH|TEXTREL' <<<"$dynamic" || wrong 'has an RPATH or text relocations'
grep -q '__stack_chk_fail' <<<"$symbols" || wrong 'has no stack protector (-fstack-protector-strong)'
# A sanitizer has its own checks instead of these.
if ! grep -q '__[at]san_init' <<<"$symbols"; then
    grep -q '_chk@' <<<"$symbols" || wrong 'has no fortified function (-D_FORTIFY_SOURCE)'
fi
# Only what is ours: the linker drops the mark as soon as the C library's start files lack it, as Debian's do.
if grep -q X86-64 <<<"$head"; then
    for layer in protocol auth routing proxy; do
        without=$(readelf -nW "$build/lib$layer.a" 2>/dev/null | awk '/^File:/ { if (name && !ok) print name; name = $2; ok = 0 } /IBT, SHSTK/ { ok = 1 } END { if (name && !ok) print name }')
        [ -z "$without" ] || wrong "without branch protection (-fcf-protection=full): $without"
    done
fi
exit $bad
