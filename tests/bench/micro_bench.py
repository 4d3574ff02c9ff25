#!/usr/bin/python3
"""The micro-benchmarks of tables and algorithms, and of changes through the API until workers use them.

Usage: micro_bench.py --binaries DIR [--rounds N] [--name TEXT] [--no-head]

Prints lines of the table (bench_table.py): of each benchmark of sluice_micro_bench and sluice_control_bench its time,
and every counter that it has. Time is what the thread had a CPU for, so that other work on the machine adds less; where
others' work is part of it, the benchmark says so and it is what the clock tells. Each benchmark runs in a process of
its own, shortly and --rounds times, but once where it takes seconds.
"""

import json
import re
import statistics
import subprocess

import bench_table
from lab.stop import end_with_parent

PROGRAMS = {
    "sluice_micro_bench": "Micro-benchmarks of tables and algorithms",
    "sluice_control_bench": "Changes through the API, until workers use them",
}
# What Google Benchmark itself tells; the rest are a benchmark's counters.
FIELDS = {"name", "family_index", "per_family_instance_index", "run_name", "run_type", "repetitions",
          "repetition_index", "threads", "iterations", "real_time", "cpu_time", "time_unit", "items_per_second"}


def names(program):
    done = subprocess.run([program, "--benchmark_list_tests"], check=True, capture_output=True, text=True)
    return done.stdout.split()


def is_long(name):
    """It has its own number of iterations, or fills a table of 10 M flows each time."""
    return "/iterations:" in name or "flows:10000000/" in name


def measure(program, name, rounds):
    """One object for each round."""
    command = [program, f"--benchmark_filter=^{re.escape(name)}$", "--benchmark_format=json",
               "--benchmark_min_time=0.04", f"--benchmark_repetitions={1 if is_long(name) else rounds}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, preexec_fn=end_with_parent)
    return [run for run in json.loads(done.stdout)["benchmarks"] if run["run_type"] == "iteration"]


def unit_of(counter):
    words = counter.split("_")
    if words[-2:] == ["per", "s"]:
        return "/s"
    return next((unit for unit in ("bytes", "ms", "us") if unit in words), "")


def figures(name, runs):
    """What bench_table.show() is given, line by line."""
    what = re.sub(r"/iterations:\d+|/(real|manual)_time", "", name)
    first = runs[0]
    time = "real_time" if name.endswith(("/real_time", "/manual_time")) else "cpu_time"
    note = ""
    if "items_per_second" in first:
        items = statistics.median(run["items_per_second"] for run in runs)
        note = f"{bench_table.number(items / 1e6)} M a second"
    yield what, bench_table.spread(run[time] for run in runs), first["time_unit"], note
    for counter in sorted(first.keys() - FIELDS):
        yield f"{what} {counter}", bench_table.spread(run[counter] for run in runs), unit_of(counter)


def main():
    parser = bench_table.argument_parser(__doc__, rounds=5)
    parser.add_argument("--name", default="", metavar="TEXT", help="only benchmarks whose name contains TEXT")
    arguments = parser.parse_args()
    bench_table.head(arguments)
    for program, title in PROGRAMS.items():
        bench_table.section(title)
        for name in (name for name in names(arguments.binaries / program) if arguments.name in name):
            for figure in figures(name, measure(arguments.binaries / program, name, arguments.rounds)):
                bench_table.show(*figure)


if __name__ == "__main__":
    bench_table.run(main)
