"""The commands of the operator's guide, to be carried out line by line."""

import pathlib
import re

GUIDE = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "README.md"


def steps(heading):
    """[(the step's first words, [its commands])] of the numbered list under a heading, comments taken off."""
    text = GUIDE.read_text("utf-8")
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)[1]
    found = []
    for part in re.split(r"^(?=\d+\. )", section, flags=re.MULTILINE)[1:]:
        title = re.match(r"\d+\. \*\*(.*?)\.?\*\*", part)[1]
        commands = []
        for line in part.splitlines():
            if not line.startswith("       "):
                continue
            line = re.sub(r"\s+# .*$", "", line).strip()
            # A command goes on after a backslash.
            if commands and commands[-1].endswith("\\"):
                commands[-1] = commands[-1][:-1].rstrip() + " " + line
            elif line:
                commands.append(line)
        found.append((title, commands))
    return found
