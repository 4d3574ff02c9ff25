#!/usr/bin/python3
"""Ratios of rows of sluice-bench that hold on any machine, each pair of rows in turn.

Usage: ratio_bench.py --binaries DIR [--rounds N] [--windows N]

Of a round both rows follow each other, in either order. The machine's speed changes from second to second, so only
rounds count in which it was the same for both rows, as their reference loops tell; shown are the median of those
rounds' ratios and its quartiles, by the rows' medians and by their 10th percentiles.
"""

import argparse
import json
import pathlib
import subprocess

import driver_bench

ROW = "{}/ipip/{}/ipv4/1M-flows/1k-vips/1k-backends/{}B/burst-32{}"
HASH, HASH_TIMESTAMPS = (ROW.format("established", "hash", size, "") for size in (60, 66))
COOKIE = ROW.format("established", "cookie", 66, "")
TABLE = ROW.format("established", "table", 60, "")
PAIRS = {
    "cookie / plain hash": (COOKIE, HASH),
    "cookie / plain hash, the same frames": (COOKIE, HASH_TIMESTAMPS),
    "SYN / established": (ROW.format("new", "table", 60, ""), TABLE),
    "with / without 100 changes a second": (ROW.format("established", "table", 60, "/100-changes"), TABLE),
}
SAME_SPEED = 1.06  # of reference loops, one by the other


def measure(binaries, row, windows):
    command = [binaries / "sluice-bench", "--json", "--row", row, "--windows", str(windows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return next(result for result in map(json.loads, done.stdout.splitlines()) if result["scenario"] == row)


def is_even(pair):
    loops = [row["reference_cycles_p50"] for row in pair]
    return max(loops) <= SAME_SPEED * min(loops)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, required=True, metavar="DIR")
    parser.add_argument("--rounds", type=int, default=15, metavar="N")
    parser.add_argument("--windows", type=int, default=200, metavar="N", help="of 1024 packets, for each row and round")
    arguments = parser.parse_args()
    driver_bench.take_place()
    print("ratios of cycles per packet, 1 M flows: median (and quartiles) of the even rounds", flush=True)
    rounds = {name: [] for name in PAIRS}
    for number in range(arguments.rounds):
        for name, pair in PAIRS.items():
            order = pair if number % 2 == 0 else pair[::-1]
            results = {row: measure(arguments.binaries, row, arguments.windows) for row in order}
            rounds[name].append([results[row] for row in pair])
    for name, each in rounds.items():
        even = [pair for pair in each if is_even(pair)]
        counted = f"{len(even)} even rounds of {len(each)}"
        if len(even) < 2:
            print(f"{name:45} {counted}: too few", flush=True)
            continue
        shares = {key[-3:]: driver_bench.spread(over[key] / under[key] for over, under in even)
                  for key in ("cycles_per_packet_p50", "cycles_per_packet_p10")}
        print(f"{name:45} p50 {shares['p50']}   p10 {shares['p10']}   {counted}", flush=True)


if __name__ == "__main__":
    main()
