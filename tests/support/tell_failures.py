#!/usr/bin/python3
"""Prints in short what the failed tests of ctest's last run say of why: a whole output may be thousands of lines.

    tell_failures.py DIR    (as ctest's --test-dir)
"""

import pathlib
import re
import sys

# What GoogleTest, the sanitizers, libFuzzer, unittest and our own scripts write where something is wrong.
SIGN = re.compile(
    r"Failure$|\[  FAILED  \]|ERROR: |WARNING: ThreadSanitizer|SUMMARY: |runtime error|check failed|"
    r"^(ERROR|FAIL): |^Traceback|^\w*(Error|Exception): "
)
LINES_BEHIND_SIGN = 8
MOST_LINES = 80
LINES_WITHOUT_SIGN = 30


def failed_outputs(log):
    """(name, lines of output) of each failed test in ctest's log."""
    for block in re.split(r"^\d+/\d+ Testing: ", log, flags=re.MULTILINE)[1:]:
        name = block.split("\n", 1)[0]
        before, end, after = block.rpartition("<end of output>")
        if end and not re.search(r"^Test Passed\.$", after, flags=re.MULTILINE):
            yield name, before.partition("Output:\n")[2].splitlines()[1:]


def telling(lines):
    """Those that say what is wrong, and what follows them."""
    shown = {i + behind for i, line in enumerate(lines) if SIGN.search(line) for behind in range(LINES_BEHIND_SIGN)}
    return [lines[i] for i in sorted(shown) if i < len(lines)][:MOST_LINES] or lines[-LINES_WITHOUT_SIGN:]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    log = pathlib.Path(sys.argv[1]) / "Testing" / "Temporary" / "LastTest.log"
    for name, lines in failed_outputs(log.read_text(encoding="utf-8", errors="replace")):
        print(f"\n{name} says:")
        for line in telling(lines):
            print(f"  {line}")


if __name__ == "__main__":
    main()
