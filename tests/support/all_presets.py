#!/usr/bin/python3
"""Writes a folder in which one ctest runs the tests of all presets: those of the release build as they are, each test
binary of the sanitizer builds as one test, and the fuzzers.

    all_presets.py --fuzz-seconds N [--release FOLDER]... DIR

With --release only the tests of these folders of the release build.
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Seconds that one sanitized binary may take.
SANITIZED_TIMEOUT_S = 600
# Labs run beside these, and real traffic should not wait for them.
MEANWHILE = ["/usr/bin/nice", "-n", "15"]
ENVIRONMENT = {
    "asan": ["ASAN_OPTIONS=strict_string_checks=1:detect_stack_use_after_return=1", "UBSAN_OPTIONS=print_stacktrace=1"],
    "tsan": ["TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1"],
}


def tests_of(preset):
    command = ["ctest", "--test-dir", ROOT / "build" / preset, "--show-only=json-v1"]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return [test for test in json.loads(result.stdout)["tests"] if "command" in test]


def quoted(words):
    return " ".join(f"[==[{word}]==]" for word in words)


def test(name, command, **properties):
    """Commands of ctest's file that define one test."""
    words = [word for key, value in properties.items() for word in (key, value)]
    return [
        f"add_test({quoted([name, *command])})",
        f"set_tests_properties({quoted([name])} PROPERTIES {quoted(words)})",
    ]


def sanitized(preset):
    """Every GoogleTest binary that was built, as one test. (ctest knows them by their single cases.)"""
    cases = [t["command"][0] for t in tests_of(preset) if any("--gtest_filter" in word for word in t["command"])]
    cases = [binary for binary in cases if pathlib.Path(binary).is_file()]
    if not cases:
        sys.exit(f"build/{preset} has no test binaries")
    binaries = sorted(set(cases))
    print(f"{preset}: {len(cases)} cases in {len(binaries)} binaries, each one test below")
    for binary in binaries:
        yield from test(
            f"{preset}.{pathlib.Path(binary).name}",
            [*MEANWHILE, binary],
            LABELS=preset,
            TIMEOUT=SANITIZED_TIMEOUT_S,
            ENVIRONMENT=";".join(ENVIRONMENT[preset]),
        )


def fuzzers(seconds):
    found = [t for t in tests_of("asan") if "--fuzzer" in t["command"]]
    if not found:
        sys.exit("build/asan has no fuzzers")
    for fuzzer in found:
        command = [*MEANWHILE, *fuzzer["command"], "--made-seeds", ROOT / "build/release/tests/golden/seeds"]
        command[command.index("--seconds") + 1] = str(seconds)
        properties = {"LABELS": "fuzz", "TIMEOUT": seconds + 1200, "COST": 500, "FIXTURES_REQUIRED": "golden_seeds"}
        yield from test(fuzzer["name"], command, **properties)


def main():
    parser = argparse.ArgumentParser(description="One ctest for all presets.")
    parser.add_argument("--fuzz-seconds", type=int, required=True)
    parser.add_argument("--release", action="append", metavar="FOLDER")
    parser.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    release = ROOT / "build/release"
    lines = [f"subdirs({quoted([release / folder])})" for folder in arguments.release or ["."]]
    lines += [*sanitized("asan"), *sanitized("tsan"), *fuzzers(arguments.fuzz_seconds)]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    (arguments.folder / "CTestTestfile.cmake").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
