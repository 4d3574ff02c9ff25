#!/usr/bin/python3
"""Ratios of rows of sluice-bench that hold on any machine, each pair of rows in turn; and what changes of state cost.

Usage: ratio_bench.py --binaries DIR [--rounds N] [--windows N] [--no-head]

Prints lines of the table (bench_table.py).

Of a round both rows follow each other, in either order. The machine's speed changes from second to second, so only
rounds count in which it was the same for both rows, as their reference loops tell. Shown are those rounds' ratios of
the rows' medians; noted is the median of the ratios of their 10th percentiles.

The medians of a row with changes are of windows between changes. What a change costs is told by the windows behind it:
cycles over the median, of all packets together, by the cycles of a hundredth of a second. Needs 1 GB of huge pages.
"""

import json
import statistics
import subprocess

import bench_table
import driver_bench

HASH, HASH_TIMESTAMPS = (bench_table.row("established/ipip/hash/ipv4/1M-flows", frame) for frame in (60, 66))
COOKIE = bench_table.row("established/ipip/cookie/ipv4/1M-flows", 66)
TABLE = bench_table.row("established/ipip/table/ipv4/1M-flows", 60)
SYN = bench_table.row("new/ipip/table/ipv4/1M-flows", 60)
CHANGES = TABLE + "/100-changes"
PAIRS = {
    "cookie / plain hash": (COOKIE, HASH),
    "cookie / plain hash, the same frames": (COOKIE, HASH_TIMESTAMPS),
    # In one table: those that begin have room in it for their timeout. And in one that is as full as it was made for.
    "SYN / established": (SYN, TABLE + "/5M-connections"),
    "SYN / established, full table": (SYN + "/1250k-connections", TABLE),
    "with / without changes, between them": (CHANGES, TABLE),
}
CHANGES_SHARE = "100 changes a second: share of the time"
SAME_SPEED = 1.06  # of reference loops, one by the other


def measure(binaries, row, windows):
    command = [binaries / "sluice-bench", "--json", "--row", row, "--windows", str(windows)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, preexec_fn=driver_bench.begin)
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
        bench_table.show(name, bench_table.spread([]), "ratio", f"{counted}: too few")
        return
    medians, least = ([over[key] / under[key] for over, under in even]
                      for key in ("cycles_per_packet_p50", "cycles_per_packet_p10"))
    bench_table.show(name, bench_table.spread(medians), "ratio",
                     f"{counted}; {bench_table.number(statistics.median(least))} by 10th percentiles")


def main():
    parser = bench_table.argument_parser(__doc__, rounds=15)
    parser.add_argument("--windows", type=int, default=200, metavar="N", help="of 1024 packets, for each row and round")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.windows < 1:
        parser.error("--rounds and --windows have to be 1 or more")
    if not (arguments.binaries / "sluice-bench").exists():
        parser.error(f"--binaries {arguments.binaries}: has no sluice-bench; tools/build release sluice-bench makes it")
    driver_bench.take_place()
    bench_table.head(arguments)
    bench_table.section("Ratios of rows of sluice-bench in turn, 1 000 000 flows")
    rounds = {name: [] for name in PAIRS}
    changes = []
    for number in bench_table.each_round(arguments.rounds):
        for name, pair in PAIRS.items():
            order = pair if number % 2 == 0 else pair[::-1]
            results = {row: measure(arguments.binaries, row, arguments.windows) for row in order}
            rounds[name].append([results[row] for row in pair])
        changes.append(measure(arguments.binaries, CHANGES, 10 * arguments.windows))
    for name, each in rounds.items():
        show(name, each)
    bench_table.show(CHANGES_SHARE, bench_table.spread(map(share_of_changes, changes)), "%",
                     f"{sum(row['changes'] for row in changes)} changes")


if __name__ == "__main__":
    bench_table.run(main)
