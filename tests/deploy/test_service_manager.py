#!/usr/bin/python3
"""The installed service under systemd itself: a clean Debian with the packages is booted as a container. Needs root."""

import os
import pathlib
import re
import signal
import sys
import tempfile
import unittest

from booted_system import BootedSystem
from clean_system import CleanSystem
from test_packages import make_packages

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))

# pylint: disable=wrong-import-position
from lab.hold_thread import held

CONFIGURATION = """
node:
  ports:
    - {name: wan, devices: ["net_af_packet0,iface=eth0"], addresses: [192.0.2.2/24], exception: {interface: sluice-wan}}
services:
  seed: 000102030405060708090a0b0c0d0e0f
"""
# A container may be forbidden to raise limits; this stands for LimitMEMLOCK=infinity then.
DROP_IN = "[Service]\nAmbientCapabilities=CAP_IPC_LOCK\nCapabilityBoundingSet=CAP_IPC_LOCK\n"
VETH = [("link", "add", "eth0", "type", "veth", "peer", "name", "peer0"), ("link", "set", "lo", "up"),
        ("link", "set", "eth0", "up"), ("link", "set", "peer0", "up")]


class ServiceManagerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="sluice-packages-")
        cls.addClassCleanup(folder.cleanup)
        packages = make_packages(pathlib.Path(folder.name))
        system = CleanSystem(packages)
        cls.addClassCleanup(system.remove)
        system.install(packages)
        cls.configuration = system.root / "etc/sluice/sluice.yaml"
        cls.configuration.write_text(CONFIGURATION, "ascii")
        cls.configuration.chmod(0o640)
        drop_ins = system.root / "etc/systemd/system/sluiced.service.d"
        drop_ins.mkdir()
        (drop_ins / "container.conf").write_text(DROP_IN, "ascii")
        system.run("systemctl", "enable", "sluiced")
        system.run("useradd", "--groups", "sluice", "clerk")
        # The container has its own.
        system.unbind()
        cls.booted = BootedSystem(system, VETH)
        cls.addClassCleanup(cls.booted.stop)

    def setUp(self):
        self.booted.wait(lambda: self.booted.show("sluiced", "ActiveState") == "active", "sluiced is active")

    def journal(self):
        return self.booted.call("journalctl", "--unit=sluiced", "--output=cat", "--no-pager").stdout

    def pid(self):
        return self.booted.show("sluiced", "MainPID")

    def wait_for_another(self, pid):
        def back():
            return self.pid() not in (pid, "0") and self.booted.show("sluiced", "ActiveState") == "active"

        self.booted.wait(back, "systemd has started sluiced again")

    def test_it_starts_at_boot_and_is_ready_when_it_says_so(self):
        self.assertEqual(self.booted.show("sluiced", "StatusText"), "forwarding")
        done = self.booted.call("sluicectl", "status")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("sluice-wan", self.booted.call("ls", "/sys/class/net").stdout)

    def test_it_runs_with_what_the_unit_keeps_and_no_more(self):
        status = self.booted.call("cat", f"/proc/{self.pid()}/status").stdout
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        self.assertNotEqual(fields["Uid"].split()[0], "0")
        for capabilities in ("CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(fields[capabilities], 16), 1 << 12 | 1 << 13 | 1 << 14, capabilities)
        self.assertEqual((fields["NoNewPrivs"].strip(), fields["Seccomp"].strip()), ("1", "2"))

    def test_the_group_may_use_the_api_and_others_may_not(self):
        as_user = ["setpriv", "--reuid=clerk", "--regid=clerk", "--init-groups", "sluicectl", "status"]
        self.assertEqual(self.booted.call(*as_user).returncode, 0)
        as_user[1:3] = ["--reuid=daemon", "--regid=daemon"]
        self.assertEqual(self.booted.call(*as_user).returncode, 3)

    def test_reload_takes_a_good_file_and_refuses_a_bad_one(self):
        pid = self.pid()
        self.addCleanup(self.configuration.write_text, CONFIGURATION, "ascii")
        self.configuration.write_text(CONFIGURATION + "  pools: [{name: web}]\n", "ascii")
        done = self.booted.call("systemctl", "reload", "sluiced")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.booted.wait(lambda: re.search(r"^pools +1$", self.booted.call("sluicectl", "status").stdout, re.MULTILINE),
                         "the pool is there")
        self.configuration.write_text(CONFIGURATION + "  poools: []\n", "ascii")
        self.assertNotEqual(self.booted.call("systemctl", "reload", "sluiced").returncode, 0)
        self.assertIn("poools", self.journal())
        self.assertEqual((self.pid(), self.booted.show("sluiced", "ActiveState")), (pid, "active"))

    def test_a_worker_that_stands_still_is_ended_by_the_watchdog(self):
        pid = self.pid()
        with held(self.booted.machine_pid("sluiced"), "rte-worker-1"):
            self.booted.wait(lambda: "watchdog: worker 0" in self.journal(), "sluiced says who stands still")
            self.booted.wait(lambda: self.booted.show("sluiced", "ActiveState") != "active", "systemd ends it")
        self.wait_for_another(pid)
        self.assertEqual(self.booted.call("sluicectl", "status").returncode, 0)

    def test_it_comes_back_after_a_crash(self):
        pid = self.pid()
        os.kill(self.booted.machine_pid("sluiced"), signal.SIGSEGV)
        self.wait_for_another(pid)
        self.assertEqual(self.booted.call("sluicectl", "status").returncode, 0)

    def test_stop_leaves_nothing(self):
        self.assertEqual(self.booted.call("systemctl", "stop", "sluiced").returncode, 0)
        self.addCleanup(self.booted.call, "systemctl", "start", "sluiced")
        self.assertEqual(self.booted.show("sluiced", "Result"), "success")
        self.assertIn("packet sum: in = out", self.journal())
        self.assertNotIn("sluice-wan", self.booted.call("ls", "/sys/class/net").stdout)
        self.assertNotEqual(self.booted.call("ls", "/run/sluice").returncode, 0)

    def test_the_journal_knows_levels(self):
        warnings = self.booted.call("journalctl", "--unit=sluiced", "--output=cat", "--no-pager", "--priority=warning")
        self.assertIn("preflight: huge pages", warnings.stdout)
        self.assertNotIn("ready", warnings.stdout)


if __name__ == "__main__":
    unittest.main()
