#!/usr/bin/python3
"""Ratios of rows of sluice-bench that hold on any machine, each pair of rows in turn; and what changes of state cost.

Usage: ratio_bench.py --binaries DIR [--rounds N] [--windows N]

Of a round both rows follow each other, in either order. The machine's speed changes from second to second, so only
rounds count in which it was the same for both rows, as their reference loops tell; shown are the median of those
rounds' ratios and its quartiles, by the rows' medians and by their 10th percentiles.

The medians of a row with changes are of windows between changes. What a change costs is told by the windows behind it:
cycles over the median, of all packets together, by the cycles of a hundredth of a second. Needs 1 GB of huge pages.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

import driver_bench

ROW = "{}/ipip/{}/ipv4/1M-flows/1k-vips/1k-backends/{}B/burst-32"
HASH, HASH_TIMESTAMPS = (ROW.format("established", "hash", size) for size in (60, 66))
COOKIE = ROW.format("established", "cookie", 66)
TABLE = ROW.format("established", "table", 60)
CHANGES = TABLE + "/100-changes"
PAIRS = {
    "cookie / plain hash": (COOKIE, HASH),
    "cookie / plain hash, the same frames": (COOKIE, HASH_TIMESTAMPS),
    "SYN / established": (ROW.format("new", "table", 60), TABLE),
    "with / without changes, between them": (CHANGES, TABLE),
}
SAME_SPEED = 1.06  # of reference loops, one by the other


def measure(binaries, row, windows):
    command = [binaries / "sluice-bench", "--json", "--row", row, "--windows", str(windows)]
    # On the CPU that it chooses itself, which this process left to it.
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True,
                          preexec_fn=lambda: os.sched_setaffinity(0, driver_bench.CPUS))
    return json.loads(done.stdout)


def is_even(pair):
    loops = [row["reference_cycles_p50"] for row in pair]
    return max(loops) <= SAME_SPEED * min(loops)


def share_of_changes(row):
    """Of 100 changes a second, in per cent of the time."""
    hertz = row["mpps"] * 1e6 * row["cycles_per_packet_p50"]
    return 100 * 100 * row["cycles_per_change"] / hertz


def show(name, rounds):
    even = [pair for pair in rounds if is_even(pair)]
    counted = f"{len(even)} even rounds of {len(rounds)}"
    if len(even) < 2:
        print(f"{name:45} {counted}: too few", flush=True)
        return
    shares = {key[-3:]: driver_bench.spread(over[key] / under[key] for over, under in even)
              for key in ("cycles_per_packet_p50", "cycles_per_packet_p10")}
    print(f"{name:45} p50 {shares['p50']}   p10 {shares['p10']}   {counted}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, required=True, metavar="DIR", help="those of the build")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="how often, in turn; 2 or more")
    parser.add_argument("--windows", type=int, default=200, metavar="N", help="of 1024 packets, for each row and round")
    arguments = parser.parse_args()
    if arguments.rounds < 2 or arguments.windows < 1:
        parser.error("--rounds has to be 2 or more, --windows 1 or more")
    if not (arguments.binaries / "sluice-bench").exists():
        parser.error(f"--binaries {arguments.binaries}: has no sluice-bench; tools/build release sluice-bench makes it")
    driver_bench.take_place()
    print("ratios of cycles per packet, 1 M flows: median (and quartiles) of the even rounds", flush=True)
    rounds = {name: [] for name in PAIRS}
    changes = []
    for number in range(arguments.rounds):
        for name, pair in PAIRS.items():
            order = pair if number % 2 == 0 else pair[::-1]
            results = {row: measure(arguments.binaries, row, arguments.windows) for row in order}
            rounds[name].append([results[row] for row in pair])
        changes.append(measure(arguments.binaries, CHANGES, 10 * arguments.windows))
    for name, each in rounds.items():
        show(name, each)
    print(f"{'100 changes a second, per cent of the time':45}     {driver_bench.spread(map(share_of_changes, changes))}"
          f"   {sum(row['changes'] for row in changes)} changes", flush=True)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"ratio_bench.py: {' '.join(map(str, error.cmd))} ended with {error.returncode}")
