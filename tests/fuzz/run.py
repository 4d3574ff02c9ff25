#!/usr/bin/python3
"""Runs one fuzzer for a while, from seeds that the golden cases give and what earlier runs found worth keeping.

    run.py --fuzzer PATH --seeds frames|configs --work DIR --seconds N [--made-seeds DIR]
    run.py --work DIR        makes the seeds, so that the fuzzers need not wait for each other

--made-seeds: the folder of seeds that the golden cases wrote when they ran; without, they are made once for DIR.
Inputs in regressions/NAME/ are run first: each was a finding once. A new finding is printed and left in
DIR/findings/NAME; put it there when it is mended.
"""

import argparse
import base64
import fcntl
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Fewer runs than this in a second of its CPU time mean that the fuzzer hangs on something and tests nothing. It runs
# beside other tests, but not with less than this share of a CPU.
MIN_RUNS_PER_SECOND = 20
MIN_CPU_SHARE = 0.1


def newest(folder):
    return max(path.stat().st_mtime for path in folder.rglob("*") if path.suffix != ".pyc")


def seeds_in(work):
    """Makes the seeds, which all fuzzers share, anew when what they are made from has changed. Returns their folder."""
    directory = work / "seeds"
    work.mkdir(parents=True, exist_ok=True)
    made = work / "seeds.made"
    with open(work / "seeds.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists() or made.stat().st_mtime < newest(ROOT / "tests/golden"):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            start = time.time()
            subprocess.run([ROOT / "tests/golden/run.py", "--seeds", directory], check=True, timeout=900)
            made.touch()
            os.utime(made, (start, start))
    return directory


def run_fuzzer(command):
    """Runs it, passes its output on, and returns (exit status, output)."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    lines = []
    for line in process.stdout:
        lines.append(line)
        # The progress lines and the dictionary would bury the rest.
        if not re.match(r"#\d+\s+(NEW|REDUCE|pulse|RELOAD)\b|\s*NEW_FUNC|\".*# Uses: |######", line):
            sys.stdout.write(line)
    return process.wait(), "".join(lines)


def cpu_of_children():
    """CPU seconds of all processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser(description="Runs one fuzzer.")
    parser.add_argument("--fuzzer", type=pathlib.Path)
    parser.add_argument("--seeds", choices=("frames", "configs"))
    parser.add_argument("--made-seeds", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=int)
    arguments = parser.parse_args()
    if not arguments.fuzzer:
        seeds_in(arguments.work)
        return 0
    if not arguments.seeds or not arguments.seconds:
        parser.error("--fuzzer needs --seeds and --seconds")
    name = arguments.fuzzer.name.removesuffix("_fuzzer")
    corpus, findings = arguments.work / "corpus" / name, arguments.work / "findings" / name
    for directory in (corpus, findings):
        directory.mkdir(parents=True, exist_ok=True)
    regressions = sorted((HERE / "regressions" / name).glob("*"))
    if regressions and subprocess.run([arguments.fuzzer, *regressions], timeout=120, check=False).returncode != 0:
        print(f"{name}: a finding of old is back")
        return 1

    seeds = [(arguments.made_seeds or seeds_in(arguments.work)) / arguments.seeds]
    if not seeds[0].is_dir() or not any(seeds[0].iterdir()):
        sys.exit(f"no seeds in {seeds[0]}")
    if arguments.seeds == "configs":
        seeds.append(ROOT / "config/examples")
    cpu_before = cpu_of_children()
    status, output = run_fuzzer(
        [
            arguments.fuzzer,
            f"-max_total_time={arguments.seconds}",
            "-timeout=10",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
            f"-artifact_prefix={findings}/",
            corpus,
            *seeds,
        ]
    )
    cpu_s = max(cpu_of_children() - cpu_before, MIN_CPU_SHARE * arguments.seconds)
    if status != 0:
        print(f"{name}: the fuzzer ended with {status}")
        for finding in sorted(findings.iterdir()):
            print(f"{finding}: base64 {base64.b64encode(finding.read_bytes()).decode()}")
        return 1
    runs = re.search(r"stat::number_of_executed_units: (\d+)", output)
    if not runs or int(runs[1]) < MIN_RUNS_PER_SECOND * cpu_s:
        print(f"{name}: only {runs[1] if runs else 0} runs in {arguments.seconds} s, of which {cpu_s:.0f} on a CPU")
        return 1
    print(f"{name}: {runs[1]} runs, no finding")
    return 0


if __name__ == "__main__":
    sys.exit(main())
