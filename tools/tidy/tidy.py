#!/usr/bin/python3
"""Checks that the tree keeps its own rules. Prints each violation; exits with 1 if there are any.

    tidy.py [--root DIR] [RULE...]     all rules without names
"""

import argparse
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import file_rules  # noqa: E402
import include_rules  # noqa: E402
import reason_rules  # noqa: E402
from tree import Tree  # noqa: E402

RULES = {
    "columns": file_rules.check_columns,
    "format": file_rules.check_format,
    "guards": file_rules.check_guards,
    "guide": reason_rules.check_guide,
    "includes": include_rules.check_includes,
    "names": file_rules.check_names,
    "reasons": reason_rules.check_reasons,
    "scripts": file_rules.check_scripts,
    "sizes": file_rules.check_sizes,
    "top_level": file_rules.check_top_level,
    "words": file_rules.check_words,
}


def main():
    parser = argparse.ArgumentParser(description="Checks the rules of the tree.")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("rules", nargs="*", metavar="RULE", help=", ".join(RULES))
    arguments = parser.parse_args()
    unknown = [rule for rule in arguments.rules if rule not in RULES]
    if unknown:
        parser.error(f"no such rule: {', '.join(unknown)}; there are {', '.join(RULES)}")
    tree = Tree(arguments.root.resolve())
    found = 0
    for rule in arguments.rules or RULES:
        for violation in RULES[rule](tree):
            print(f"{rule}: {violation}")
            found += 1
    print(f"{found} violations in {len(tree.files)} files")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
