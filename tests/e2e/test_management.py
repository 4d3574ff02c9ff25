#!/usr/bin/python3
"""What manages the services: the API, whose state survives kill -9 and torn files, or the file, which is watched."""

import os
import unittest

from management_case import DEADLINE_S, ManagementCase
from lab.process import wait_until


class ManagementTest(ManagementCase):
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
