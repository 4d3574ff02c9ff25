"""Every drop reason is shown by a golden case, or is listed with the other test that shows it."""

import importlib
import re
import sys

import yaml

REASONS_HEADER = "dataplane/base/drop_reason.h"
GOLDEN = "tests/golden"
# "label: file" for reasons that no capture can bring about, such as a full queue.
OTHER_TESTS = "tests/golden/reasons_of_other_tests.yaml"

_REASON = re.compile(r'X\((k\w+),\s*\\?\s*"(\w+)"')


def reasons_of_golden_cases(tree, wanted):
    """Reasons that cases expect; cases are built, those of drops first, until all wanted ones are found."""
    folder = str(tree.root / GOLDEN)
    sys.path.insert(0, folder)
    try:
        run = importlib.import_module("run")
        found = set()
        for name in sorted(run.all_names(), key=lambda name: (not name.startswith("drop-"), name)):
            if wanted <= found:
                break
            drops = [p.final for p in run.load(name).packets if p.final and p.final["fate"] == "dropped"]
            found |= {final["reason"] for final in drops}
        return found
    finally:
        sys.path.remove(folder)


def check_reasons(tree, covered=None):
    symbols = {label: symbol for symbol, label in _REASON.findall(tree.read(REASONS_HEADER))}
    if not symbols:
        yield f"{REASONS_HEADER}: no drop reasons were found"
        return
    elsewhere = yaml.safe_load(tree.read(OTHER_TESTS)) or {}
    if covered is None:
        covered = reasons_of_golden_cases(tree, symbols.keys() - elsewhere.keys())
    for label in sorted(covered - symbols.keys()):
        yield f"{GOLDEN}: a case expects {label}, which is no drop reason"
    for label, symbol in symbols.items():
        if label in covered:
            if label in elsewhere:
                yield f"{OTHER_TESTS}: {label} has a golden case; remove it here"
        elif label not in elsewhere:
            yield f"{label}: no golden case expects this drop reason ({GOLDEN}/cases)"
        else:
            yield from _check_other_test(tree, label, symbol, elsewhere[label])
    for label in elsewhere.keys() - symbols.keys():
        yield f"{OTHER_TESTS}: {label} is no drop reason"


def _check_other_test(tree, label, symbol, path):
    if not (tree.root / path).is_file():
        yield f"{OTHER_TESTS}: {label}: there is no {path}"
    elif symbol not in tree.read(path) and f'"{label}"' not in tree.read(path):
        yield f'{OTHER_TESTS}: {label}: {path} mentions neither {symbol} nor "{label}"'


# Where operators look reasons up.
GUIDE = "deploy/TROUBLESHOOTING.md"
_GUIDE_ROW = re.compile(r"^\| ((?:`\w+`(?:, )?)+) \|.*\S.* \|.*\S.* \|$", re.MULTILINE)


def check_guide(tree):
    """Every drop reason has a row with cause and remedy in the operators' guide, and the guide knows no other."""
    labels = {label for _, label in _REASON.findall(tree.read(REASONS_HEADER))}
    _, found, table = (tree.read(GUIDE) or "").partition("\n## By drop reason\n")
    if not found:
        yield f"{GUIDE}: there is no part 'By drop reason'"
        return
    explained = [label for row in _GUIDE_ROW.findall(table) for label in re.findall(r"\w+", row)]
    for label in sorted(labels - set(explained)):
        yield f"{GUIDE}: no row explains the drop reason {label}: | `{label}` | cause | what to do |"
    for label in sorted(set(explained) - labels):
        yield f"{GUIDE}: {label} is no drop reason"
    for label in sorted({label for label in explained if explained.count(label) > 1}):
        yield f"{GUIDE}: {label} is explained twice"
