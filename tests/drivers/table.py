#!/usr/bin/env python3
"""table.py: writes what run.sh found (build/drivers/results) between the markers of the README."""
import os
import re

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
TARGETS = ("sluice", "sluice-transaction", "sluice-routed", "sluice-one", "redshift")
ORDER = ("login tls md5 cleartext simple params prepared transaction cursor big error refused cancel reconnect two one-server "
         "extended").split()

cells, whys, drivers = {}, [], []
for target in TARGETS:
    path = os.path.join(ROOT, "build/drivers/results", target)
    for line in open(path) if os.path.exists(path) else []:
        driver, said = line.rstrip("\n").split("\t", 1)
        verdict, name, why = re.match(r"(ok|not ok) (\S+)(?: [-#] ?(?:SKIP )?(.*))?", said).groups()
        if driver not in drivers:
            drivers.append(driver)
        mark = "no" if verdict == "not ok" else "–" if why else "yes"
        cells.setdefault((driver, name), set()).add(mark)
        if mark != "yes" and (driver, name, why) not in whys:
            whys.append((driver, name, why))


def cell(driver, name):
    marks = cells.get((driver, name), set())
    return "**no**" if "no" in marks else "–" if "–" in marks else "✓" if marks else ""


names = [n for n in ORDER if any(n == name for _, name in cells)]
lines = ["| driver | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
lines += [f"| {d} | " + " | ".join(cell(d, n) for n in names) + " |" for d in drivers]
lines += [""] + [f"- {d}, {n}: {w}" for d, n, w in whys]
readme = os.path.join(ROOT, "README.md")
text = open(readme).read()
new, n = re.subn(r"(<!-- drivers -->\n).*?(<!-- end drivers -->)",
                 lambda m: m.group(1) + "\n".join(lines).rstrip() + "\n" + m.group(2), text, flags=re.S)
assert n == 1, "README.md has no place for the table"
open(readme, "w").write(new)
