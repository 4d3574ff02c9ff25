#!/usr/bin/python3
"""What manages the services: the API, whose state survives kill -9 and torn files, or the file, which is watched."""

import os
import signal
import subprocess
import tempfile
import unittest

import yaml

import lab_case  # noqa: F401  (where the lab's modules are)
from lab.lab import default_binaries
from lab.process import wait_until

DEADLINE_S = 60


class ManagementTest(unittest.TestCase):
    """A sluiced on a device that swallows everything: no lab is needed."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="sluice-management-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.config = os.path.join(self.directory, "sluice.yaml")
        self.state = os.path.join(self.directory, "state")
        self.server = f"unix:{self.directory}/api.sock"
        self.process = None
        self.starts = 0
        self.addCleanup(self.kill)

    def write(self, management, weight=100):
        tables = {name: 1024 for name in ("connections_v4", "connections_v6", "connections_wide", "nat_sessions",
                                       "connections_stateful")}
        node = {"management": management, "state_directory": self.state, "tables": tables,
                "ports": [{"name": "wan", "devices": ["net_null0"], "addresses": ["192.0.2.2/24"],
                           "gateway_mac": "02:00:00:00:00:01", "exception": {"enabled": False}}],
                "memory": {"hugepages": "off"}, "api": {"listen": self.server}, "metrics": {"enabled": False}}
        services = {"seed": "000102030405060708090a0b0c0d0e0f",
                    "pools": [{"name": "web", "backends": [
                        {"name": f"web-{i}", "address": f"192.0.2.1{i}", "weight": weight} for i in (1, 2, 3)]}],
                    "vips": [{"name": "www", "address": "203.0.113.10", "protocol": "tcp", "port": 80, "pool": "web",
                              "mode": "l2"}]}
        new = self.config + ".new"
        with open(new, "w", encoding="utf-8") as file:
            yaml.safe_dump({"node": node, "services": services}, file)
        os.rename(new, self.config)  # as editors do

    def start(self):
        self.starts += 1
        with open(os.path.join(self.directory, f"log.{self.starts}"), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([self.binary("sluiced"), "--config", self.config], stderr=log)
        wait_until(lambda: self.process.poll() is not None or self.ctl("status", check=False).returncode == 0,
                   DEADLINE_S, "sluiced answers or ends")
        return self.process.poll()

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def log(self):
        with open(os.path.join(self.directory, f"log.{self.starts}"), encoding="utf-8") as file:
            return file.read()

    def ctl(self, *arguments, check=True):
        return subprocess.run([self.binary("sluicectl"), "-s", self.server, *arguments], check=check,
                              capture_output=True, text=True, timeout=DEADLINE_S)

    @staticmethod
    def binary(name):
        return os.path.join(default_binaries(), name)

    def weight(self, name):
        lines = self.ctl("get", "backends", f"web/{name}").stdout.splitlines()
        return int(lines[1].split()[4])

    def newest(self):
        return os.path.join(self.state, sorted(n for n in os.listdir(self.state)
                                               if n.startswith("change-") and not n.endswith(".damaged"))[-1])

    def test_what_was_answered_survives_kill_9_and_a_torn_file_costs_one_change(self):
        self.write("api")
        self.assertIsNone(self.start(), self.log())
        self.ctl("backend", "add", "web", "web-4", "192.0.2.14", "-w", "7")
        self.ctl("backend", "drain", "web", "web-1")
        self.kill()
        self.write("api", weight=55)  # the file is not looked at any more
        self.assertIsNone(self.start(), self.log())
        self.assertEqual((self.weight("web-4"), self.weight("web-2")), (7, 100))
        self.assertIn("draining", self.ctl("get", "backends", "web/web-1").stdout)
        self.assertEqual(len(self.ctl("history").stdout.splitlines()), 4)
        self.kill()
        torn = self.newest()
        os.truncate(torn, os.path.getsize(torn) // 2)
        self.assertIsNone(self.start(), self.log())
        self.assertIn(torn, self.log())
        self.assertNotIn("draining", self.ctl("get", "backends", "web/web-1").stdout)
        self.assertEqual(self.weight("web-4"), 7)
        self.ctl("rollback", "1")
        self.assertNotIn("web-4", self.ctl("get", "backends").stdout)

    def test_a_store_without_a_good_state_stops_the_start(self):
        self.write("api")
        self.assertIsNone(self.start(), self.log())
        self.kill()
        os.truncate(self.newest(), 10)
        self.assertEqual(self.start(), 1)
        self.assertIn("restore one from a backup", self.log())

    def test_the_file_is_the_truth_and_is_applied_when_it_changes(self):
        self.write("file")
        self.assertIsNone(self.start(), self.log())
        refused = self.ctl("backend", "remove", "web", "web-1", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("node.management", refused.stderr)
        self.write("file", weight=42)
        wait_until(lambda: self.weight("web-1") == 42, DEADLINE_S, "the changed file is applied")
        self.assertIn("file", self.ctl("history").stdout)


if __name__ == "__main__":
    unittest.main()
