#!/usr/bin/python3
"""Turns Markdown into pages of the manual, so that what is written once is read by man too.

    manual.py include FILE [SECTION...]           sections for help2man --include (all, or those that are named)
    manual.py page NAME NUMBER WHAT FILE          a page of its own
    manual.py commands PROGRAM                    a section with the help of each of the program's commands

Knows what the project's documents use: headings, paragraphs, lists, indented blocks, tables, `code`, **bold**, links. A
table's row becomes a paragraph under its first cell. Sections about the source code are left out.
"""

import re
import subprocess
import sys

LEFT_OUT = {"In the code", "How it is made"}
# Columns whose cells need no title.
PLAIN = {"Meaning", "Means", "What happens", "Type"}


def text(line):
    line = line.replace("\\", "\\e")
    line = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line)
    line = re.sub(r"`([^`]*)`", lambda found: "\\fB" + found[1].replace("-", "\\-") + "\\fR", line)
    line = re.sub(r"\*\*([^*]*)\*\*", r"\\fB\1\\fR", line)
    return re.sub(r"^([.'])", r"\\&\1", line)


def verbatim(lines):
    while lines and not lines[-1]:
        lines.pop()
    body = [re.sub(r"^([.'])", r"\\&\1", line.replace("\\", "\\e").replace("-", "\\-")) for line in lines]
    return [".PP", ".RS 4", ".nf", *body, ".fi", ".RE"]


def cells(row):
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def table(rows):
    heads, out = cells(rows[0]), []
    for row in rows[2:]:
        first, *rest = cells(row)
        notes, said = [], []
        for head, cell in zip(heads[1:], rest):
            if not cell or cell == "-":
                continue
            if cell.startswith("required"):
                notes.append(text(cell))
                continue
            if head == heads[-1] or head in PLAIN and head != "Type":
                said.append(text(cell[:1].upper() + cell[1:] if len(heads) > 2 else cell))
            else:
                notes.append(text(cell) if head in PLAIN or not head else f"{head.lower()}: {text(cell)}")
        out += [".TP", text(first) if "`" in first else f"\\fB{text(first)}\\fR"]
        if notes:
            out.append("(" + "; ".join(notes) + ")")
        out += said or ([] if notes else ["\\&"])
    return out


def body(lines):
    """Roff of lines between two headings."""
    out, index = [], 0
    while index < len(lines):
        line = lines[index]
        block = []
        if line.startswith("|"):
            while index < len(lines) and lines[index].startswith("|"):
                block.append(lines[index])
                index += 1
            out += table(block)
        elif line.startswith("    "):
            while index < len(lines) and (lines[index].startswith("    ") or not lines[index]):
                block.append(lines[index][4:])
                index += 1
            out += verbatim(block)
        elif line.startswith("- "):
            block.append(line[2:])
            index += 1
            while index < len(lines) and lines[index].startswith("  "):
                block.append(lines[index].strip())
                index += 1
            out += [".IP \\(bu 2", text(" ".join(block))]
        elif line:
            while index < len(lines) and lines[index] and not re.match(r"\||    |- ", lines[index]):
                block.append(lines[index])
                index += 1
            # Joined, because a link may go on in the next line.
            out += [".PP", text(" ".join(block))]
        else:
            index += 1
    return out


def sections(path):
    """[(heading, its roff)] for the parts of the second level; "" before the first."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    found, heading, part = [], "", []

    def close():
        found.append((heading, body(part)))

    for line in lines:
        if line.startswith("# "):
            continue
        if line.startswith("## "):
            close()
            heading, part = line[3:], []
        elif line.startswith("### "):
            # Kept apart from the lines of Markdown, so that no paragraph takes it in.
            close()
            heading, part = "### " + line[4:], []
        else:
            part.append(line)
    close()
    whole = []
    for name, roff in found:
        if name.startswith("### "):
            whole[-1][1].extend([f".SS {text(name[4:])}", *roff])
        else:
            whole.append((name, list(roff)))
    return [(name, roff) for name, roff in whole if name not in LEFT_OUT and (name or roff)]


def include(path, names):
    for name, roff in sections(path):
        if name and (not names or name in names):
            print(f"[{name}]\n" + "\n".join(roff) + "\n")


def commands(program):
    """The commands are what is indented by two after "Commands:", up to the first operand."""
    def help_of(*words):
        return subprocess.run([program, *words, "--help"], capture_output=True, text=True, check=True).stdout

    listed = re.search(r"^Commands:\n((?:  .*\n)+)", help_of(), re.MULTILINE)[1]
    print("[commands]")
    for line in listed.splitlines():
        use = re.match(r"  ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)*)(?=  | [^a-z]|$)", line)
        if use:
            print("\n".join([f".SS {text(use[1])}", *verbatim(help_of(*use[1].split()).splitlines())]))
    print()


def page(name, number, what, path):
    print(f'.TH {name.upper()} {number} "" Sluice "Sluice"\n.SH NAME\n{name} \\- {what}')
    for heading, roff in sections(path):
        print(f".SH {text(heading or 'Description').upper()}\n" + "\n".join(roff))


def main():
    if len(sys.argv) >= 3 and sys.argv[1] == "include":
        include(sys.argv[2], sys.argv[3:])
    elif len(sys.argv) == 3 and sys.argv[1] == "commands":
        commands(sys.argv[2])
    elif len(sys.argv) == 6 and sys.argv[1] == "page":
        page(*sys.argv[2:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
