#!/usr/bin/python3
"""The session of README.md with sluicectl: its commands, carried out in their order in the lab under load, and printed
as README.md prints them. It fails where README.md shows other commands than these, or one ends as it should not."""

import os
import re
import socket
import threading
import time
import unittest

import yaml

import lab_case
from lab_case import LabCase
from lab import config
from lab.clients.tools import HeldConnections, Wrk
from lab.network import VIP4, VIP6
from lab.process import wait_until

README = os.path.join(os.path.dirname(os.path.abspath(lab_case.__file__)), "..", "..", "README.md")
FIRST_PORT = 41000
SLOW = 6  # connections that the drain waits for


class SessionTest(LabCase):
    def services(self, weights):
        services = config.services(weights, udp=False)
        for vip, name in zip(services["vips"], ("shop", "shop6")):
            vip["name"] = name
        services["pools"][1] = config.services({1: 100, 2: 100, 3: 200}, udp=False)["pools"][1]
        return services

    def test_session(self):
        self.started, self.asked = 0, []
        directory = self.lab.run.directory
        self.start(self.services({1: 100, 2: 100, 3: 200}), name="edge-1", management="api",
                   state_directory=os.path.join(directory, "state"))
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(directory)
        with open("shop.yaml", "w", encoding="utf-8") as file:
            yaml.safe_dump({"services": self.services({1: 100, 2: 100, 3: 100, 4: 100})}, file, sort_keys=False)
        load = Wrk(self.client, VIP4, 120, connections=8, name="load")
        held = HeldConnections(self.client, VIP6, 24)
        time.sleep(3)  # the figures of a director that has run for a moment
        self.show("status")
        self.show("diff -f shop.yaml", code=4)
        self.show("apply -f shop.yaml --expect 1")
        self.show("apply -f shop.yaml --expect 1", code=1)
        self.wait_for_workers()
        slow = self.connections_of("backend-4")
        for words in ("vips", "pools", "backends web"):
            self.show(f"get {words}")
        self.show("describe vip shop")

        port = slow[0].getsockname()[1]
        closer = threading.Thread(target=self.close_one_by_one, args=(slow,))
        closer.start()
        self.show("drain web/backend-4 --deadline 2m --wait", meanwhile=[f"explain tcp 192.0.2.100:{port} {VIP4}:80"])
        closer.join()
        self.show("get drains")
        self.show("top")
        self.show("history")
        self.show("rollback 1")
        self.show("backend add web backend-9 192.0.2.11", code=1)
        self.assertEqual(load.stop()["failed"], 0)
        self.assert_held(held.stop())
        with open(README, encoding="utf-8") as file:
            shown = re.findall(r"^    \$ sluicectl (.*)$", file.read(), re.MULTILINE)
        self.assertEqual([re.sub(r"192.0.2.100:\d+", "CLIENT", line) for line in shown], self.asked)

    def show(self, words, code=0, meanwhile=()):
        """Carries the command out and prints both; `meanwhile`: commands that are asked before it has ended."""
        self.started += 1
        process = self.director.namespace.start(f"session-{self.started}", self.director.ctl_command(*words.split()))
        for others in meanwhile:
            wait_until(lambda: "draining" in process.log(), 10, "the drain has begun")
            self.show(others)
        ended = process.wait(120)
        self.asked.append(re.sub(r"192.0.2.100:\d+", "CLIENT", words))
        print(f"    $ sluicectl {words}", flush=True)
        for line in process.log().splitlines():
            print(f"    {line}".rstrip(), flush=True)
        self.assertEqual(ended, code, words)

    def connections_of(self, backend):
        """Connections that go there, from ports that `explain` has named."""
        found, port = [], FIRST_PORT
        while len(found) < SLOW:
            answer = self.director.ctl("explain", "tcp", f"192.0.2.100:{port}", f"{VIP4}:80")
            if answer["backend"] == backend:
                connection = self.client.socket(socket.AF_INET)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                connection.bind(("192.0.2.100", port))
                connection.connect((VIP4, 80))
                self.addCleanup(connection.close)
                found.append(connection)
            port += 1
        return found

    def close_one_by_one(self, connections):
        wait_until(lambda: self.director.ctl("get", "drains").get("drains"), 30, "the drain has begun")
        for connection in connections:
            time.sleep(2)
            connection.close()


if __name__ == "__main__":
    unittest.main()
