#!/usr/bin/env python3
"""documents.py links|messages: what documents say of each other, and of the program.

links     every relative link of a Markdown file leads to a file, and to a heading of it
messages  every `quoted` message in the first column of a table that is headed `message` is one that the source
          has; `...` stands for what differs from time to time. What others say stands there without quotes.
"""
import os
import re
import subprocess
import sys

PRODUCT = ("protocol", "auth", "routing", "proxy", "deploy/lambda")


def files(*patterns):
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
                            capture_output=True, text=True, check=True).stdout.split("\n")
    return [name for name in listed if name and os.path.isfile(name)]


def lines(document):
    """Line numbers and lines outside of fenced code."""
    fence = None
    with open(document, encoding="utf-8") as text:
        for number, line in enumerate(text, 1):
            mark = re.match(r"\s*(```+|~~~+)", line)
            if mark and fence is None:
                fence = mark[1]
            elif mark and line.strip() == fence:
                fence = None
            elif fence is None:
                yield number, line.rstrip("\n")


def slug(heading):
    """The anchor that forges make of a heading."""
    heading = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")


def anchors(document, known={}):
    if document not in known:
        found = known[document] = set()
        for _, line in lines(document):
            heading = re.match(r"#{1,6} +(.*?) *#*$", line)
            if heading:
                name, n = slug(heading[1]), 0
                while (name if n == 0 else f"{name}-{n}") in found:
                    n += 1
                found.add(name if n == 0 else f"{name}-{n}")
    return known[document]


def broken_links():
    for document in files("*.md"):
        for number, line in lines(document):
            for target in re.findall(r"\]\(([^()\s]+)\)", re.sub(r"`[^`]*`", "", line)):
                if re.match(r"[a-z]+:", target):
                    continue
                path, _, anchor = target.partition("#")
                there = os.path.normpath(os.path.join(os.path.dirname(document), path)) if path else document
                if not os.path.exists(there):
                    yield f"{document}:{number}: there is no {target}"
                elif anchor and anchor not in anchors(there):
                    yield f"{document}:{number}: {there} has no heading for #{anchor}"


def said():
    """What the product's literals say, one a line; literals that follow each other are one."""
    texts = []
    for name in files(*PRODUCT):
        if name.endswith((".c", ".h", ".def", ".mjs", ".cjs", ".py")):
            with open(name, encoding="utf-8") as text:
                for run in re.findall(r'(?:"(?:[^"\\\n]|\\.)*"\s*)+', text.read()):
                    parts = re.findall(r'"((?:[^"\\\n]|\\.)*)"', run)
                    texts.append("".join(parts).replace('\\"', '"'))
    return "\n".join(texts)


def unknown_messages():
    product = said()
    for document in files("*.md"):
        inside = False
        for number, line in lines(document):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if not cells:
                inside = False
            elif cells[0] == "message":
                inside = True
            elif inside:
                for message in re.findall(r"`([^`]+)`", cells[0]):
                    parts = [re.escape(part.strip()) for part in message.split("...") if part.strip()]
                    if not re.search(".*".join(parts), product):
                        yield f"{document}:{number}: nothing in the source says {message}"


def main():
    rules = {"links": broken_links, "messages": unknown_messages}
    if len(sys.argv) != 2 or sys.argv[1] not in rules:
        sys.exit(__doc__)
    found = list(rules[sys.argv[1]]())
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
