#!/usr/bin/python3
"""The systemd units and the scripts beside them, as far as they can be tried without systemd as the first process."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
# The most that `systemd-analyze security` may say: 0 is nothing to gain, 10 is root without limits. What each unit
# keeps is explained in it.
EXPOSURE = {"sluiced": 2.5, "sluice-hugepages": 2.0, "sluice-bind@": 3.6, "sluice-backend": 2.4}


class UnitsTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-units-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def copy_units(self):
        """Copies whose programs exist: verify looks for them, and they come with packages."""
        program = self.folder / "program"
        program.write_text("#!/bin/sh\n", encoding="ascii")
        program.chmod(0o755)
        copies = []
        for unit in UNITS:
            text = re.sub(r"^(Exec\w+=)(/usr/s?bin|/usr/lib/sluice|/sbin)/\S+", rf"\1{program}",
                          unit.read_text(encoding="utf-8"), flags=re.MULTILINE)
            copies.append(self.folder / unit.name)
            copies[-1].write_text(text, encoding="utf-8")
        return copies

    def analyze(self, *arguments):
        environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{self.folder}:", "SYSTEMD_COLORS": "0"}
        return subprocess.run(["systemd-analyze", *map(str, arguments)], env=environment, capture_output=True,
                              text=True, check=False, timeout=60)

    def test_verify_has_nothing_to_say(self):
        for unit in self.copy_units():
            with self.subTest(unit=unit.name):
                done = self.analyze("verify", "--man=no", "--recursive-errors=no", unit)
                said = [line for line in (done.stdout + done.stderr).splitlines() if "sluice" in line]
                self.assertEqual((done.returncode, said), (0, []), done.stderr)

    def test_verify_would_say_something(self):
        unit = self.folder / "sluiced.service"
        unit.write_text("[Service]\nExecStart=/bin/true\nWatchdogSek=1\n", encoding="ascii")
        done = self.analyze("verify", "--man=no", unit)
        self.assertIn("WatchdogSek", done.stderr)

    def test_exposure(self):
        self.copy_units()
        self.assertEqual({unit.name.removesuffix(".service") for unit in UNITS}, set(EXPOSURE))
        for name, most in EXPOSURE.items():
            with self.subTest(unit=name):
                unit = name.replace("@", "@0000:03:00.0") + ".service"
                done = self.analyze("security", "--offline=yes", "--no-pager", f"--threshold={int(most * 10)}", unit)
                line = next((line for line in done.stdout.splitlines() if "Overall exposure" in line), done.stderr)
                print(f"\n{name}: {line.strip()}", flush=True)
                self.assertEqual(done.returncode, 0, done.stdout)

    def test_drop_ins_fit(self):
        """Each drop-in is accepted beside the unit that it is for."""
        for drop_in in sorted((DEPLOY / "systemd").glob("sluiced-*.conf")):
            with self.subTest(drop_in=drop_in.name):
                unit = next(copy for copy in self.copy_units() if copy.name == "sluiced.service")
                folder = self.folder / "sluiced.service.d"
                folder.mkdir()
                shutil.copy(drop_in, folder)
                done = self.analyze("verify", "--man=no", "--recursive-errors=no", unit)
                shutil.rmtree(folder)
                self.assertEqual((done.returncode, [l for l in done.stderr.splitlines() if "sluice" in l]), (0, []))


class HugepagesTest(unittest.TestCase):
    """sluice-hugepages against a directory that stands for /sys."""

    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="sluice-sys-"))
        self.addCleanup(shutil.rmtree, self.root)
        for node in (0, 1):
            self.file(node).parent.mkdir(parents=True)
            self.file(node).write_text("16\n", encoding="ascii")

    def file(self, node):
        return self.root / f"sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/nr_hugepages"

    def reserve(self, wish):
        environment = {**os.environ, "SLUICE_ROOT": str(self.root), "SLUICE_HUGEPAGES": wish}
        return subprocess.run([DEPLOY / "bin/sluice-hugepages"], env=environment, capture_output=True, text=True,
                              check=False, timeout=20)

    def pages(self):
        return [int(self.file(node).read_text(encoding="ascii")) for node in (0, 1)]

    def test_reserves_by_node(self):
        done = self.reserve("0:64 1:128")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.pages(), [64, 128])

    def test_nothing_wanted_nothing_done(self):
        self.assertEqual(self.reserve("").returncode, 0)
        self.assertEqual(self.pages(), [16, 16])

    def test_takes_no_pages_away(self):
        self.assertEqual(self.reserve("0:8").returncode, 0)
        self.assertEqual(self.pages(), [16, 16])

    def test_says_what_is_wrong(self):
        for wish, text in {"64": "names no node", "0:x": "is not NODE:PAGES", "0:": "is not NODE:PAGES",
                           "0:1:2": "is not NODE:PAGES", "7:64": "no NUMA node 7"}.items():
            with self.subTest(wish=wish):
                done = self.reserve(wish)
                self.assertEqual(done.returncode, 1)
                self.assertIn(text, done.stderr)
        self.assertEqual(self.pages(), [16, 16])

    def test_says_when_the_kernel_gave_less(self):
        """A file that takes every number and stays as it was, as the kernel's does when its memory is short."""
        self.file(1).unlink()
        os.mkfifo(self.file(1))
        # Each reader of the file is told 16, whatever was written before.
        kernel = subprocess.Popen(["sh", "-c", 'echo 16 > "$0"; read -r wish < "$0"; echo 16 > "$0"', self.file(1)])
        self.addCleanup(kernel.wait, 10)
        self.addCleanup(kernel.kill)
        done = self.reserve("1:64")
        self.assertEqual(done.returncode, 1)
        self.assertIn("found 16 of 64 pages", done.stderr)


if __name__ == "__main__":
    unittest.main()
