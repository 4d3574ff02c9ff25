"""A sluiced on a device that swallows everything: for tests of its API and its files, which need no lab."""

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


class ManagementCase(unittest.TestCase):
    NODE = {}  # what differs

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="sluice-management-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.config = os.path.join(self.directory, "sluice.yaml")
        self.state = os.path.join(self.directory, "state")
        self.socket_path = os.path.join(self.directory, "api.sock")
        self.server = f"unix:{self.socket_path}"
        self.process = None
        self.starts = 0
        self.addCleanup(self.kill)

    def write(self, management, weight=100, **api):
        tables = {name: 1024 for name in ("connections_v4", "connections_v6", "connections_wide", "nat_sessions",
                                          "connections_stateful")}
        node = {"management": management, "state_directory": self.state, "tables": tables,
                "ports": [{"name": "wan", "devices": ["net_null0"], "addresses": ["192.0.2.2/24"],
                           "gateway_mac": "02:00:00:00:00:01", "exception": {"enabled": False}}],
                "memory": {"hugepages": "off"}, "api": {"listen": self.server, **api}, "metrics": {"enabled": False}}
        services = {"seed": "000102030405060708090a0b0c0d0e0f",
                    "pools": [{"name": "web", "backends": [
                        {"name": f"web-{i}", "address": f"192.0.2.1{i}", "weight": weight} for i in (1, 2, 3)]}],
                    "vips": [{"name": "www", "address": "203.0.113.10", "protocol": "tcp", "port": 80, "pool": "web",
                              "mode": "l2"}]}
        new = self.config + ".new"
        node.update(self.NODE)
        with open(new, "w", encoding="utf-8") as file:
            yaml.safe_dump({"node": node, "services": services}, file)
        os.rename(new, self.config)  # as editors do

    def start(self, *options):
        self.starts += 1
        with open(os.path.join(self.directory, f"log.{self.starts}"), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([self.binary("sluiced"), "--config", self.config, *options],
                                            stderr=log)
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
