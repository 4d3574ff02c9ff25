#!/usr/bin/python3
"""The lab itself: whatever ends a run, nothing of it stays."""

import os
import signal
import subprocess
import sys
import unittest

import lab_case  # pylint: disable=unused-import  (finds the lab)
from lab import registry
from lab.backends import HTTP_PORT
from lab.lab import Lab
from lab.network import INTERFACE, backend_host
from lab.process import run, start_ticks, wait_until

HOLDER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from lab.lab import Lab
with Lab(backend_count=1) as lab:
    print(lab.run.name, lab.backends.nginx["backend-1"].pid, flush=True)
    time.sleep(60)
"""
TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools")


def exists(name, nginx):
    """What there is of a run."""
    namespaces = [line.split()[0] for line in run(["ip", "netns", "list"]).stdout.splitlines()]
    found = [namespace for namespace in namespaces if namespace.startswith(name + "-")]
    found += [str(nginx)] if start_ticks(nginx) is not None else []
    found += [entry for entry in os.listdir(registry.DIRECTORY) if entry.startswith(name)]
    return found


class CleanupTest(unittest.TestCase):
    def hold(self):
        """A program that has a lab: (its process, the run's name, the pid of an nginx in it)."""
        # pylint: disable=consider-using-with
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, TOOLS], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(holder.stdout.close)
        self.addCleanup(holder.kill)
        name, nginx = holder.stdout.readline().split()
        self.assertEqual(len(exists(name, int(nginx))), 3 + 1 + 1 + 2)  # and the switch; nginx; file and directory
        return holder, name, int(nginx)

    def test_ending_signals(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number.name):
                holder, name, nginx = self.hold()
                holder.send_signal(number)
                holder.wait(20)
                self.assertEqual(exists(name, nginx), [])

    def test_what_a_killed_run_left_is_removed_by_the_next(self):
        holder, name, nginx = self.hold()
        holder.kill()
        holder.wait(10)
        self.assertNotEqual(exists(name, nginx), [])
        self.assertIn(name, registry.remove_abandoned())
        wait_until(lambda: exists(name, nginx) == [], 5, "nothing of the killed run is left")

    def test_a_running_lab_is_not_taken_for_abandoned(self):
        holder, name, nginx = self.hold()
        self.assertNotIn(name, registry.remove_abandoned())
        self.assertEqual(len(exists(name, nginx)), 7)
        holder.terminate()
        holder.wait(20)


class ConnectionsTest(unittest.TestCase):
    def test_forgotten_at_both_ends(self):
        """Also one that no process has any more, whose request and FIN the kernel sends until an answer comes."""
        lab = Lab(backend_count=1)
        self.addCleanup(lab.remove)
        backend = lab.network.backends["backend-1"]

        def states(namespace):
            lines = namespace.run(["ss", "-Htan", "state", "connected"]).stdout.splitlines()
            return [line.split()[0] for line in lines]

        with lab.client.socket() as connection:
            connection.settimeout(10)
            connection.connect((backend_host(1).ipv4, HTTP_PORT))
            wait_until(lambda: states(backend) == ["ESTAB"], 10, "the backend has the connection")
            backend.ip(f"link set {INTERFACE} down")
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        self.assertEqual(states(lab.client), ["FIN-WAIT-1"])
        lab.forget_connections()
        self.assertEqual(states(lab.client) + states(backend), [])


if __name__ == "__main__":
    unittest.main()
