"""The commands of the operator's guides, to be carried out line by line."""

import pathlib
import re

GUIDE = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "README.md"
BACKENDS = GUIDE.with_name("BACKENDS.md")


def section(document, heading):
    return re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## )", document.read_text("utf-8"),
                     re.MULTILINE | re.DOTALL)[1]


def kernel_options():
    """What the guide puts on the kernel's command line."""
    return re.search(r"`(intel_iommu=[^`]*)`", GUIDE.read_text("utf-8"))[1].split()


def scripts(heading):
    """What stands indented below a heading of BACKENDS.md, from one empty line to the next."""
    blocks = re.findall(r"(?:^    .*\n)+", section(BACKENDS, heading), re.MULTILINE)
    return [re.sub("^    ", "", block, flags=re.MULTILINE) for block in blocks]


def steps(heading):
    """[(the step's first words, [its commands])] of the numbered list under a heading, comments taken off."""
    found = []
    for part in re.split(r"^(?=\d+\. )", section(GUIDE, heading), flags=re.MULTILINE)[1:]:
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
