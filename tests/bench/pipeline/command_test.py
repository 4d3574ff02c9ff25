#!/usr/bin/python3
"""sluice-bench as a command: rows, JSON, wrong usage; speeds are not looked at.

Usage: command_test.py SLUICE_BENCH
"""

import json
import pathlib
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import bench_table  # noqa: E402  pylint: disable=wrong-import-position
import ratio_bench  # noqa: E402  pylint: disable=wrong-import-position

BENCH = sys.argv.pop(1) if len(sys.argv) > 1 else None
NUMBERS = ("cycles_per_packet_p50", "cycles_per_packet_p10", "cycles_per_packet_p90", "mpps", "reference_cycles_p50",
           "clock_cycles")
DIMENSIONS = ("scenario", "mode", "family", "protocol", "flows", "vips", "backends", "packet_bytes", "burst")


def run(*arguments):
    return subprocess.run([BENCH, *arguments], capture_output=True, text=True, timeout=120, check=False)


class BenchCommandTest(unittest.TestCase):
    def test_rows_of_every_load(self):
        """A row that does not do what it says ends with status 1."""
        for row in ("established/ipip/hash/ipv4/1k-flows", "established/ipip/table/ipv6/1k-flows",
                    "established/ipip/table/udp-ipv4/1k-flows", "established/ipip/cookie/ipv4/1k-flows",
                    "established/ipip/stateful/ipv4/1k-flows", "established/ipip/cookie/ipv6/1k-flows",
                    "established/ipip/stateful/ipv6/1k-flows", "established/nat/table/ipv6/1k-flows",
                    "established/full-nat/table/ipv6/1k-flows", "new/ipip/table/ipv4",
                    "new/nat/table/ipv4", "new/ipip/cookie/ipv4", "new/ipip/stateful/ipv4",
                    "mixed/ipip/all/ipv4-6/1k-flows", "no-vip/ipip/table/ipv6", "imix", "100-changes",
                    "1k-flows/1k-vips/1k-backends/60B/burst-32/one-new-in-2", "1k-backends/74B/burst-32/over-ipv4"):
            with self.subTest(row=row):
                done = run("--no-huge", "--json", "--windows", "3", "--row", row)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                lines = [json.loads(line) for line in done.stdout.splitlines()]
                self.assertTrue(lines)
                for line in lines:
                    self.assertIn(row, line["scenario"])
                    self.assertEqual([key for key in DIMENSIONS if key not in line], [])
                    self.assertTrue(all(line[key] > 0 for key in NUMBERS), line)
                    self.assertLessEqual(line["cycles_per_packet_p10"], line["cycles_per_packet_p50"])
                    self.assertLessEqual(line["cycles_per_packet_p50"], line["cycles_per_packet_p90"])

    def test_names_are_unique(self):
        names = run("--list").stdout.split()
        self.assertGreater(len(names), 20)
        self.assertEqual(len(names), len(set(names)))

    def test_a_whole_name_is_one_row(self):
        names = run("--list").stdout.split()
        for name in names:
            self.assertEqual(run("--list", "--row", name).stdout.split(), [name])
        # By which rows are named elsewhere.
        for pair in ratio_bench.PAIRS.values():
            self.assertEqual([row for row in pair if row not in names], [])
        self.assertEqual([row for row in bench_table.ROWS if row not in names], [])

    def test_changes_have_a_cost(self):
        """Of a row with changes; the others have none."""
        for row, has_changes in (("100-changes", True), ("established/ipip/hash/ipv4/1k-flows", False)):
            result = json.loads(run("--no-huge", "--json", "--windows", "200", "--row", row).stdout)
            self.assertEqual(result["changes"] > 0, has_changes, result)
            self.assertTrue(has_changes or result["cycles_per_change"] == 0, result)

    def test_wrong_usage(self):
        for arguments, text in ((("--row", "nothing-like-it"), "no row has this in its name"),
                                (("--windows", "0"), "must be a number from 1 on"), (("extra",), "is not an option")):
            with self.subTest(arguments=arguments):
                done = run(*arguments)
                self.assertEqual(done.returncode, 2)
                self.assertIn(text, done.stderr)


if __name__ == "__main__":
    unittest.main()
