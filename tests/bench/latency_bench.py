#!/usr/bin/python3
"""Latency through a worker of sluiced, at shares of what it can take; beside dpdk-testpmd 5tswap, in turn.

Usage: latency_bench.py --binaries DIR [--seconds N] [--rounds N] [--flows N] [--loads SHARE ...] [--no-head]

Prints lines of the table (bench_table.py), in which p10, median and p90 are of the packets of one round. Noted is the
rest of them: further percentiles, the share that was missed because the queue was full, pauses and their share of the
time, what the program could take before and after, and the share of packets below each of some times.

Latency is from a packet's arrival until the sink has it. Source and sink are made of net_null by latency_probe.cc,
which is preloaded into both programs and tells what is measured. The rest is as in driver_bench.py. What the program
can take is measured right before and right after each load; of several rounds the one where both differ least is shown,
because in the others the machine's speed changed under way, so that the load was another share. A pause is a time of
more than 50 us in which the program did not poll, as when the kernel or the hypervisor gives the CPU to others. Packets
that arrive during a pause wait for its end, whoever forwards them.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import time

import bench_table
import driver_bench

DEVICES = ["net_null0,no-rx=1", "net_null1,no-rx=1"]
SATURATED_S = 3  # at most, around each load
BOUNDS_US = [1, 2, 5, 10, 20, 50, 100, 1000]


def commands(arguments, directory, cpus):
    configuration = driver_bench.configuration(directory, DEVICES, arguments.flows, cpus)
    path = pathlib.Path(directory, "sluice.yaml")
    path.write_text(json.dumps(configuration), encoding="utf-8")
    return {"sluiced": [f"{arguments.binaries}/sluiced", "--config", str(path)],
            "5tswap": driver_bench.testpmd("5tswap", DEVICES, arguments.flows, cpus)}


def measure(arguments, directory, capture, command):
    """One object for each load."""
    output, log = pathlib.Path(directory, "latency.json"), f"{directory}/latency.log"
    output.unlink(missing_ok=True)
    probe = pathlib.Path(arguments.binaries, "sluice_latency_probe.so").resolve()
    environment = {**os.environ, "LD_PRELOAD": str(probe), "SLUICE_PROBE_CAPTURE": capture,
                   "SLUICE_PROBE_OUTPUT": str(output), "SLUICE_PROBE_SECONDS": str(arguments.seconds),
                   "SLUICE_PROBE_LOADS": ",".join(map(str, arguments.loads))}
    with driver_bench.running(command, log, env=environment, stdin=subprocess.PIPE) as process:
        deadline = time.monotonic() + driver_bench.START_S + len(arguments.loads) * (SATURATED_S + arguments.seconds)
        while not output.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                driver_bench.fail("the latency probe does not come to an end", log)
            time.sleep(0.2)
    return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


def percentile(histogram, share):
    """In microseconds, of the class in which it lies."""
    rest = share * sum(count for _, count in histogram)
    for begin, count in histogram:
        rest -= count
        if rest <= 0:
            return begin / 1000
    return 0.0


def below(histogram):
    """The share of packets below each bound, in per cent."""
    total = sum(count for _, count in histogram) or 1
    shares = (100 * sum(count for begin, count in histogram if begin < bound * 1000) / total for bound in BOUNDS_US)
    return " ".join(f"{round(share, 3):g}" for share in shares)


def change(load):
    """Of what the program can take, by how much it changed while the load was measured."""
    before, after = load["capacity_pps"], load["capacity_after_pps"]
    return abs(after - before) / max(after, before, 1)


def show(name, load):
    histogram = load["latency_ns"]
    tail = ", ".join(f"{word} {bench_table.number(percentile(histogram, share))}"
                     for word, share in (("p99", 0.99), ("p99.9", 0.999), ("max", 1)))
    capacity = " and ".join(f"{load[key] / 1e6:.2f}" for key in ("capacity_pps", "capacity_after_pps"))
    bench_table.show(
        name, [percentile(histogram, share) for share in (0.1, 0.5, 0.9)], "us",
        f"{tail}; missed {100 * load['missed'] / max(1, load['arrived']):.4f} %; "
        f"{load['pauses']} pauses, {100 * load['paused_share']:.2f} %; of {capacity} Mpps; "
        f"% below {', '.join(map(str, BOUNDS_US))} us: {below(histogram)}")


def main():
    parser = driver_bench.argument_parser(__doc__, seconds=1, rounds=5)
    parser.add_argument("--flows", type=int, default=1000, metavar="N")
    parser.add_argument("--loads", type=float, nargs="*", default=[0.1, 0.5, 0.8, 0.95], metavar="SHARE")
    arguments = parser.parse_args()
    driver_bench.take_place()
    bench_table.head(arguments)
    bench_table.section(f"Latency {driver_bench.at_flows(arguments.flows)}, by the share of what it can take")
    cpus = driver_bench.CPUS[-1:]
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as directory:
        capture = f"{directory}/capture.pcap"
        driver_bench.write_capture(capture, arguments.flows)
        results = {}
        for _ in bench_table.each_round(arguments.rounds):
            for name, command in commands(arguments, directory, cpus).items():
                results.setdefault(name, []).append(measure(arguments, directory, capture, command))
    for name, rounds in results.items():
        for loads in zip(*rounds):
            load = min(loads, key=change)
            show(f"latency of {name} at {100 * load['load']:.0f} %", load)


if __name__ == "__main__":
    bench_table.run(main)
