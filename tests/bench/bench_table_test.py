#!/usr/bin/python3
"""The table of tools/bench: verdicts, numbers, its last line; and how it ends. Nothing is measured."""

import argparse
import contextlib
import io
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import bench_table  # noqa: E402
import driver_bench  # noqa: E402
import latency_bench  # noqa: E402
import micro_bench  # noqa: E402
import ratio_bench  # noqa: E402

ROW = bench_table.row("established/ipip/hash/ipv4/1k-flows", 60)  # 60, aim 40
RATIO = "cookie / plain hash"  # 1.12, no aim
DRIVERS = "sluiced / 5tswap at 1 000 flows"  # at least 0.7


def alone(median):
    return bench_table.spread([median])


class Verdicts(unittest.TestCase):
    def check(self, what, **expected):
        for word, medians in expected.items():
            for median in medians:
                with self.subTest(what=what, median=median):
                    self.assertEqual(bench_table.read(bench_table.line(what, alone(median))), (what, word))

    def test_at_most(self):
        self.check(ROW, aim=[0, 39.9, 40], must=[40.1, 60], MISSED=[60.1, 1000])

    def test_at_least(self):
        goal = bench_table.Goal(0.7, 0.9, at_least=True)
        for median, word in ((0.6, "MISSED"), (0.7, "must"), (0.89, "must"), (0.9, "aim"), (2, "aim")):
            self.assertEqual(bench_table.verdict(goal, median), word)
        self.check(DRIVERS, MISSED=[0, 0.69], must=[0.7, 1.5])

    def test_without_aim_or_goal(self):
        self.check(RATIO, must=[1, 1.12], MISSED=[1.13])
        self.assertEqual(bench_table.read(bench_table.line("something", alone(5))), ("something", ""))

    def test_without_figure(self):
        self.assertEqual(bench_table.read(bench_table.line(ROW, bench_table.spread([]))), (ROW, ""))

    def test_it_is_the_median_that_counts(self):
        self.assertEqual(bench_table.read(bench_table.line(ROW, (30, 50, 70)))[1], "must")


class Lines(unittest.TestCase):
    def test_numbers(self):
        for value, text in ((None, ""), (0, "0"), (0.0004, "0.000"), (0.091, "0.091"), (0.8541, "0.854"),
                            (1.09, "1.09"), (43.21, "43.2"), (123.4, "123"), (2_500_000, "2500000")):
            self.assertEqual(bench_table.number(value), text)

    def test_columns_are_those_of_the_head(self):
        text = bench_table.line(DRIVERS, (0.6, 0.7, 0.8), "ratio", "as noted")
        for name, cell in (("what", DRIVERS), ("unit", "ratio"), ("verdict", "must"), ("note", "as noted")):
            self.assertTrue(text[bench_table.HEAD.index(name):].startswith(cell), (name, text))
        for name, cell in (("p10", " 0.600"), ("median", " 0.700"), ("p90", " 0.800"), ("must", " >=0.7")):
            self.assertTrue(text[:bench_table.HEAD.index(name) + len(name)].endswith(cell), (name, text))
        self.assertLess(bench_table.HEAD.index("note"), 152)

    def test_names_with_goals_fit(self):
        self.assertEqual([what for what in bench_table.GOALS if len(what) > bench_table.WHAT_COLUMNS], [])

    def test_spread(self):
        self.assertEqual(bench_table.spread(range(101)), (10, 50, 90))
        self.assertEqual(bench_table.spread([7]), (None, 7, None))
        self.assertEqual(bench_table.spread([]), (None, None, None))

    def test_latency_below_bounds(self):
        histogram = [(500, 1), (1000, 97), (30_000, 1), (2_000_000, 1)]
        self.assertEqual(latency_bench.below(histogram), "1 98 98 98 98 99 99 99")
        self.assertEqual(latency_bench.percentile(histogram, 0.5), 1)


def printed(function, *arguments):
    """Verdict by name of the lines that it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        function(*arguments)
    return dict(map(bench_table.read, output.getvalue().splitlines()))


class Names(unittest.TestCase):
    """Figures with goals are printed by the very names that the goals have; of rows command_test.py tells it."""

    def test_drivers(self):
        def both(_stack, _arguments, _directory, _flows, cpus):
            return [mock.Mock(**{"rate.return_value": rate * 1e6 * len(cpus)}) for rate in (5, 10)]

        arguments = argparse.Namespace(rounds=2, seconds=0)
        with mock.patch("driver_bench.both", both):
            verdicts = [printed(driver_bench.one_core, arguments, "", 1000, 1),
                        printed(driver_bench.one_core, arguments, "", 1_000_000, 1),
                        printed(driver_bench.two_cores, arguments, "", 1000, [0, 1])]
        self.assertEqual([{what: word for what, word in each.items() if word} for each in verdicts],
                         [{DRIVERS: "MISSED"}, {"sluiced / 5tswap at 1 000 000 flows": "must"},
                          {"2 cores / 1 core at 1 000 flows: sluiced / 5tswap": "must"}])

    def test_ratios(self):
        row = {"cycles_per_packet_p50": 50, "cycles_per_packet_p10": 40, "reference_cycles_p50": 18}
        even, uneven = (row, row), (row, {**row, "reference_cycles_p50": 20})
        self.assertEqual(printed(ratio_bench.show, RATIO, [even, even, uneven]), {RATIO: "must"})
        self.assertEqual(printed(ratio_bench.show, RATIO, [even, uneven]), {RATIO: ""})
        for what in ("cookie / plain hash", "SYN / established"):
            self.assertIn(what, ratio_bench.PAIRS.keys() & bench_table.GOALS.keys())
        self.assertIn(ratio_bench.CHANGES_SHARE, bench_table.GOALS)

    def test_micro_benchmarks(self):
        common = {"name": "", "run_type": "iteration", "iterations": 9, "time_unit": "ns"}
        runs = [{**common, "cpu_time": cpu, "real_time": 100, "items_per_second": 4e6, "bytes_per_vip": 32}
                for cpu in (1, 2, 3)]
        self.assertEqual(list(micro_bench.figures("Lookup/flows:10", runs)), [
            ("Lookup/flows:10", (1.2, 2, 2.8), "ns", "4.00 M a second"),
            ("Lookup/flows:10 bytes_per_vip", (32, 32, 32), "bytes")])
        run = {**common, "real_time": 5, "time_unit": "ms", "p99_ms": 9}
        self.assertEqual(list(micro_bench.figures("Live/disk:1/iterations:500/manual_time", [run])), [
            ("Live/disk:1", alone(5), "ms", ""), ("Live/disk:1 p99_ms", alone(9), "ms")])

    def test_units_of_counters(self):
        for counter, unit in (("p99_ms", "ms"), ("bytes_per_session", "bytes"), ("cpu_us_per_check", "us"),
                              ("checks_per_s", "/s"), ("cpu_share", ""), ("changes_per_state", "")):
            self.assertEqual(micro_bench.unit_of(counter), unit)


class Summary(unittest.TestCase):
    def lines(self, medians):
        """Of a run in which all figures meet their aims or musts but those named."""
        best = {what: goal.must if goal.aim is None else goal.aim for what, goal in bench_table.GOALS.items()}
        yield "\nA title"
        for what, median in {**best, "no goal": 5, **medians}.items():
            yield bench_table.line(what, bench_table.spread([] if median is None else [median]))

    def test_all_met(self):
        aims = sum(goal.aim is not None for goal in bench_table.GOALS.values())
        every = len(bench_table.GOALS)
        self.assertGreater(every, aims)
        self.assertEqual(bench_table.summary(self.lines({})),
                         f"{every} figures have a must: {every} met, {aims} with their aim")

    def test_missed_and_not_measured_are_named(self):
        text = bench_table.summary(self.lines({ROW: 61, DRIVERS: 0.5, RATIO: None}))
        self.assertIn(f" {len(bench_table.GOALS) - 3} met,", text)
        self.assertTrue(text.endswith(f"; missed: {ROW}, {DRIVERS}; not measured: {RATIO}"), text)

    def test_nothing_was_printed(self):
        self.assertTrue(bench_table.summary([]).endswith("; not measured: " + ", ".join(bench_table.GOALS)))


# Of a script that has started a program, stopped it, and tells its pid.
SCRIPT = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import bench_table, driver_bench
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
def main():
    with driver_bench.running(["sleep", "600"], os.devnull) as process:
        process.send_signal(signal.SIGSTOP)
        print(process.pid, flush=True)
        process.wait()
bench_table.run(main)
"""


def runs(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()[2] != "Z"
    except FileNotFoundError:
        return False


class Ending(unittest.TestCase):
    def test_all_scripts_run_so(self):
        scripts = list(pathlib.Path(bench_table.__file__).parent.glob("*_bench.py"))
        self.assertGreaterEqual(len(scripts), 4)
        for script in scripts:
            with self.subTest(script=script.name):
                self.assertTrue(script.read_text(encoding="utf-8").endswith("    bench_table.run(main)\n"))

    def test_programs_end_with_the_script(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
            with self.subTest(signal=number.name), subprocess.Popen(
                    [sys.executable, "-c", SCRIPT, os.path.dirname(bench_table.__file__)],
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as script:
                pid = int(script.stdout.readline())
                self.assertTrue(runs(pid))
                script.send_signal(number)
                try:
                    script.wait(30)
                finally:
                    script.kill()
                if number in (signal.SIGTERM, signal.SIGHUP):
                    self.assertEqual(script.returncode, 128 + number, "it cleaned up")
                deadline = time.monotonic() + 10
                while runs(pid) and time.monotonic() < deadline:
                    time.sleep(0.01)
                self.assertFalse(runs(pid))


if __name__ == "__main__":
    unittest.main()
