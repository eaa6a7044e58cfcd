#!/usr/bin/env python3
"""Prints auth/unicode.def from Python's own tables: unicodedata (NFKC) and stringprep (RFC 3454).

Only code points that Unicode 3.2 had assigned: SASLprep forbids all others.
"""
import stringprep
import unicodedata

HANGUL = range(0xAC00, 0xD7A4)  # computed, not tabled
ALL = [chr(c) for c in range(0x110000)]
KNOWN = [c for c in ALL if not stringprep.in_table_a1(c) and ord(c) not in HANGUL]


def rows(title, items):
    print(f"\n/* {title} */")
    line = ""
    for item in items:
        if len(line) + len(item) + 1 > 100:
            print(line)
            line = ""
        line += (" " if line else "") + item
    if line:
        print(line)


def ranges(name, holds):
    """name(first, last) for each run of code points that `holds`."""
    found, start = [], None
    for code in range(0x110001):
        inside = code < 0x110000 and holds(ALL[code])
        if inside and start is None:
            start = code
        elif not inside and start is not None:
            found.append(f"{name}({start:x},{code - 1:x})")
            start = None
    return found


def parts_of(c):
    return [int(x, 16) for x in unicodedata.decomposition(c).split() if x[0] != "<"]


def composes(c):
    """A canonical pair that NFC puts together again."""
    d = unicodedata.decomposition(c)
    return d and d[0] != "<" and len(parts_of(c)) == 2 and unicodedata.normalize("NFC", c) == c


prohibited = [stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3,
              stringprep.in_table_c4, stringprep.in_table_c5, stringprep.in_table_c6,
              stringprep.in_table_c7, stringprep.in_table_c8, stringprep.in_table_c9]

print("""/* What SASLprep needs to know of Unicode; printed by auth/unicode.py, not to be edited.
 *
 * Numbers are hexadecimal, without 0x where the macro pastes it; every list is sorted. Include it
 * with the macros that are wanted defined; it undefines them.
 */""")
MACROS = ["SPACE", "NOTHING", "PROHIBITED", "UNASSIGNED", "RIGHT", "LEFT", "CLASS", "RUN", "PAIR",
          "TEXT"]
for macro in MACROS:
    print(f"#ifndef {macro}\n#define {macro}(...)\n#endif")

rows("Becomes a space: RFC 3454, C.1.2.", ranges("SPACE", stringprep.in_table_c12))
rows("Becomes nothing: B.1.", ranges("NOTHING", stringprep.in_table_b1))
rows("Prohibited: C.1.2, C.2, C.3 to C.9.",
     ranges("PROHIBITED", lambda c: any(table(c) for table in prohibited)))
rows("Unassigned in Unicode 3.2: A.1.", ranges("UNASSIGNED", stringprep.in_table_a1))
rows("Written right to left: D.1.", ranges("RIGHT", stringprep.in_table_d1))
rows("Written left to right: D.2.", ranges("LEFT", stringprep.in_table_d2))

classes, previous = [], None
for c in KNOWN:
    k = unicodedata.combining(c)
    if k and previous and previous[1] == ord(c) - 1 and previous[2] == k:
        previous[1] = ord(c)
    elif k:
        previous = [ord(c), ord(c), k]
        classes.append(previous)
rows("Canonical combining class, where it is not 0.",
     [f"CLASS({a:x},{b:x},{k:x})" for a, b, k in classes])

runs, previous, pairs, texts = [], None, [], []
for c in KNOWN:
    p = parts_of(c)
    if len(p) == 1:
        if previous and previous[1] == ord(c) - 1 and p[0] - previous[2] == ord(c) - previous[0]:
            previous[1] = ord(c)
        else:
            previous = [ord(c), ord(c), p[0]]
            runs.append(previous)
    elif len(p) == 2 and composes(c):
        pairs.append((ord(c), *p))
    elif p:
        texts.append((ord(c), p))
rows("Decomposes to one: the first of the run to this, the next to the next.",
     [f"RUN({a:x},{b:x},{t:x})" for a, b, t in runs])
rows("Decomposes to two, and the two compose to it.",
     [f"PAIR({c:x},{a:x},{b:x})" for c, a, b in pairs])
rows("Decomposes to so many that do not compose.",
     [f"TEXT({len(p)},{c:x},{','.join(f'{t:#x}' for t in p)})" for c, p in texts])
print()
for macro in MACROS:
    print(f"#undef {macro}")
