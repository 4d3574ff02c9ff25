#!/usr/bin/python3
"""What manages the services: the API, whose state survives kill -9 and torn files, or the file, which is watched."""

import json
import os
import socket
import subprocess
import unittest
import urllib.error
import urllib.request

from management_case import DEADLINE_S, ManagementCase
from lab.process import wait_until


class ManagementTest(ManagementCase):
    def weight(self, name):
        lines = self.ctl("get", "backends", f"web/{name}").stdout.splitlines()
        return int(lines[1].split()[4])

    def tear(self):
        """As a loss of power in the middle of the last write; the file has room behind it."""
        path = self.newest()
        with open(path, "rb") as file:
            used = len(file.read().rstrip(b"\0"))
        os.truncate(path, used - 10)
        return path

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
        torn = self.tear()
        self.assertIsNone(self.start(), self.log())
        self.assertIn(torn, self.log())
        self.assertNotIn("draining", self.ctl("get", "backends", "web/web-1").stdout)
        self.assertEqual(self.weight("web-4"), 7)
        self.ctl("rollback", "1")
        self.assertNotIn("web-4", self.ctl("get", "backends").stdout)
        # All but the weight stays.
        self.ctl("backend", "add", "web", "web-5", "192.0.2.15", "--cookie-id", "9")
        done = self.ctl("backend", "weight", "web", "web-5", "30")
        self.assertIn("~ backend web/web-5: weight 100 -> 30", done.stdout)
        self.assertRegex(self.ctl("export").stdout, "name: web-5, address: 192.0.2.15, weight: 30, cookie_id: 9")
        for words, code, complaint in ((("nobody", "1"), 1, "get backends"), (("web-5", "1001"), 2, "0 to 1000")):
            done = self.ctl("backend", "weight", "web", *words, check=False)
            self.assertEqual((done.returncode, complaint in done.stderr), (code, True), done.stderr)

    def drains(self):
        listed = json.loads(self.ctl("get", "drains", "-o", "json").stdout).get("drains", [])
        return {int(drain["id"]): drain["phase"].removeprefix("DRAIN_PHASE_").lower() for drain in listed}

    def http(self, path):
        try:
            with urllib.request.urlopen(f"http://{self.metrics}{path}", timeout=DEADLINE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def test_drains_are_operations_that_survive_kill_9(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.metrics = f"127.0.0.1:{free.getsockname()[1]}"
        self.NODE = {"metrics": {"listen": self.metrics}}
        self.write("api")
        self.assertIsNone(self.start(), self.log())
        self.assertEqual(self.http("/healthz"), (200, "serving\n"))
        # One that is over at once, as there is no traffic; its end is followed.
        waited = self.ctl("drain", "web/web-1", "--wait", "--then", "remove").stdout
        self.assertIn("drain 1 of backend web/web-1: draining, 0 flows left\n", waited)
        self.assertRegex(waited, r"drain 1 of backend web/web-1: finished, nothing left after \d+ s; removed\n$")
        self.assertNotIn("web-1", self.ctl("get", "backends").stdout)
        # Two on their way, one of them the node's; the deadline of the node's comes while sluiced is not there.
        self.ctl("drain", "pool", "web", "--then", "remove", "--deadline", "1h")
        refused = self.ctl("drain", "web/web-2", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("drain 2 of pool web is on its way", refused.stderr)
        self.ctl("drain", "node", "--deadline", "1s")
        self.assertEqual(self.http("/healthz"), (503, "withdrawn by drain 3 of local\n"))
        self.assertIn("sluice_node_withdrawn 1\n", self.http("/metrics")[1])
        self.kill()
        self.assertIsNone(self.start(), self.log())
        self.assertEqual(self.http("/healthz"), (503, "withdrawn by drain 3 of local\n"))
        wait_until(lambda: self.drains() == {1: "finished", 2: "finished", 3: "expired"}, DEADLINE_S, "they went on")
        self.assertNotIn("web-2", self.ctl("get", "backends").stdout)
        self.assertIn("NOT SERVING: withdrawn by drain 3 of local", self.ctl("status").stdout)
        self.ctl("undrain", "node")
        self.assertEqual(self.http("/healthz")[0], 200)
        self.assertEqual(self.drains()[3], "cancelled")
        self.assertIn("drain 3 cancelled: cancelled by local", self.ctl_watch())
        # The last one ends the process.
        ended = self.ctl("drain", "node", "--deadline", "1s", "--then", "exit", "--wait", check=False)
        self.assertIn(ended.returncode, (0, 5), ended.stderr)
        self.assertEqual(self.process.wait(DEADLINE_S), 0)
        self.assertIsNone(self.start(), self.log())
        self.assertEqual(self.http("/healthz"), (200, "serving\n"))

    def ctl_watch(self):
        """What happened since the start."""
        watch = subprocess.Popen([self.binary("sluicectl"), "-s", self.server, "watch", "--from-oldest"],
                                 stdout=subprocess.PIPE, text=True)
        try:
            lines = []
            while "cancelled" not in "".join(lines):
                lines.append(watch.stdout.readline())
        finally:
            watch.terminate()
            watch.communicate()
        return "".join(lines)

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
