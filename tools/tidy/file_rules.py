"""Rules about single files and about the top of the tree."""

import os
import re
import subprocess

MAX_LINES = 450  # the guideline is 100 to 400
MAX_COLUMNS = 120
CLANG_FORMAT = "clang-format-16"

TOP_LEVEL = {
    "CMakeLists.txt",
    "CMakePresets.json",
    "LICENSE",
    "README.md",
    "config",
    "controlplane",
    "dataplane",
    "deploy",
    "proto",
    "tests",
    "tools",
}

# Written in parts, or this file would break its own rule.
_FORBIDDEN = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")


def check_sizes(tree):
    for path in tree.with_suffix(".h", ".cc", ".py"):
        lines = tree.read(path).count("\n")
        if lines > MAX_LINES:
            yield f"{path}: {lines} lines; more than {MAX_LINES} are more than one idea"


def check_guards(tree):
    for path in tree.with_suffix(".h"):
        guard = "SLUICE_" + re.sub(r"[^A-Z0-9]", "_", str(path).upper()) + "_"
        text = tree.read(path)
        if not text.startswith(f"#ifndef {guard}\n#define {guard}\n"):
            yield f"{path}: does not begin with the include guard {guard}"
        if not text.endswith(f"#endif  // {guard}\n"):
            yield f"{path}: does not end with '#endif  // {guard}'"


def check_names(tree):
    for path in tree.with_suffix(".h", ".cc"):
        if not re.fullmatch(r"[a-z0-9_]+\.(h|cc)", path.name):
            yield f"{path}: file names are snake_case"


def check_columns(tree):
    """Python's; clang-format sees to C++."""
    for path in tree.with_suffix(".py"):
        for number, line in enumerate(tree.read(path).splitlines(), 1):
            if len(line) > MAX_COLUMNS:
                yield f"{path}:{number}: {len(line)} columns, the limit is {MAX_COLUMNS}"


def check_format(tree):
    files = [str(path) for path in tree.with_suffix(".h", ".cc")]
    if not files:
        return
    command = [CLANG_FORMAT, "--dry-run", "-Werror", "--ferror-limit=1", *files]
    result = subprocess.run(command, cwd=tree.root, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        wrong = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", result.stderr, re.MULTILINE)))
        if not wrong:
            yield f"{CLANG_FORMAT} failed: {result.stderr.strip()}"
        for path in wrong:
            yield f"{path}: not formatted; run: {CLANG_FORMAT} -i {path}"


def check_words(tree):
    for path in tree.files:
        if path.name == "LICENSE":
            continue
        for number, line in enumerate((tree.read(path) or "").splitlines(), 1):
            if found := _FORBIDDEN.search(line):
                yield f"{path}:{number}: {found[1]}: finish it, or open an issue"


def check_top_level(tree):
    for name in tree.top_level():
        if name not in TOP_LEVEL and not name.startswith("."):
            yield f"{name}: does not belong at the top of the tree"


def check_scripts(tree):
    for path in tree.files:
        with open(tree.root / path, "rb") as file:
            has_shebang = file.read(2) == b"#!"
        if os.access(tree.root / path, os.X_OK) and not has_shebang:
            yield f"{path}: is executable but has no shebang"
