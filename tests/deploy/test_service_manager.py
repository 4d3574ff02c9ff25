#!/usr/bin/python3
"""The installed service under systemd itself: a clean Debian with the packages is booted as a container. Needs root."""

import ctypes
import os
import pathlib
import re
import signal
import sys
import tempfile
import unittest

from booted_system import BootedSystem
from clean_system import CleanSystem, run
from test_packages import make_packages

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))

# pylint: disable=wrong-import-position
from lab.hold_thread import held

SEED = "000102030405060708090a0b0c0d0e0f"
CONFIGURATION = f"""
node:
  ports:
    - {{name: wan, devices: ["net_af_packet0,iface=eth0"], addresses: [192.0.2.2/24],
        exception: {{interface: sluice-wan}}}}
services:
  seed: {SEED}
"""
# A container may be forbidden to raise limits; this stands for LimitMEMLOCK=infinity then.
DROP_IN = "[Service]\nAmbientCapabilities=CAP_IPC_LOCK\nCapabilityBoundingSet=CAP_IPC_LOCK\n"
VETH = [("link", "add", "eth0", "type", "veth", "peer", "name", "peer0"), ("link", "set", "lo", "up"),
        ("link", "set", "eth0", "up"), ("link", "set", "peer0", "up")]
# The same system is a backend too, on another link.
CLIENT, CLIENT_MAC, BACKEND_MAC = "198.51.100.100", "02:5c:00:00:02:64", "02:5c:00:00:02:0b"
BACKEND = "interfaces: [eth1]\ndirectors: [198.51.100.2]\nvips: [203.0.113.10]\n"
BACKEND_LINKS = [("link", "add", "eth1", "address", BACKEND_MAC, "type", "veth", "peer", "name", "peer1",
                  "address", CLIENT_MAC), ("address", "add", "198.51.100.11/24", "dev", "eth1"),
                 ("address", "add", "203.0.113.10/32", "dev", "lo"), ("link", "set", "eth1", "up"),
                 ("link", "set", "peer1", "up"), ("neighbour", "add", CLIENT, "lladdr", CLIENT_MAC, "dev", "eth1")]
# Sends what a director sends, a ping of the client in a tunnel, and prints the VIP's answer to the client.
PING_IN_TUNNEL = f"""
import sys
from scapy.all import AsyncSniffer, Ether, IP, ICMP, UDP, sendp, conf
inner = IP(src="{CLIENT}", dst="203.0.113.10") / ICMP(id=7, seq=1) / b"sluice"
outer = Ether(src="{CLIENT_MAC}", dst="{BACKEND_MAC}") / IP(src=sys.argv[1], dst="198.51.100.11")
sniffer = AsyncSniffer(iface="peer1", count=1, timeout=float(sys.argv[2]),
                       lfilter=lambda p: ICMP in p and p[ICMP].type == 0 and p[IP].src == "203.0.113.10",
                       started_callback=lambda: sendp(outer / inner, iface="peer1", verbose=False))
sniffer.start()
sniffer.join()
print([packet[IP].dst for packet in sniffer.results])
"""
_SYS_TGKILL = 234


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
        backend = system.root / "etc/sluice/backend.yaml"
        backend.write_text(BACKEND, "ascii")
        # Like a file with keys: the agent's user is none that could be named beforehand.
        backend.chmod(0o600)
        system.run("systemctl", "enable", "sluiced", "sluice-backend")
        system.run("useradd", "--groups", "sluice", "clerk")
        # The container has its own.
        system.unbind()
        cls.booted = BootedSystem(system, VETH + BACKEND_LINKS)
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

    def test_a_crash_of_one_worker_ends_the_process_and_it_comes_back(self):
        pid = self.pid()
        process = self.booted.machine_pid("sluiced")
        tasks = pathlib.Path(f"/proc/{process}/task")
        worker, = [int(task.name) for task in tasks.iterdir() if (task / "comm").read_text("ascii") == "rte-worker-1\n"]
        ctypes.CDLL(None).syscall(_SYS_TGKILL, process, worker, signal.SIGSEGV)
        self.wait_for_another(pid)
        self.assertFalse(tasks.exists())
        self.assertEqual(self.booted.call("sluicectl", "status").returncode, 0)

    def test_stop_leaves_nothing(self):
        self.assertEqual(self.booted.call("systemctl", "stop", "sluiced").returncode, 0)
        self.addCleanup(self.booted.call, "systemctl", "start", "sluiced")
        self.assertEqual(self.booted.show("sluiced", "Result"), "success")
        self.assertIn("packet sum: in = out", self.journal())
        self.assertNotIn("sluice-wan", self.booted.call("ls", "/sys/class/net").stdout)
        self.assertNotEqual(self.booted.call("ls", "/run/sluice").returncode, 0)

    def ping_in_tunnel(self, director, seconds):
        done = run("ip", "netns", "exec", self.booted.name, "/usr/bin/python3", "-c", PING_IN_TUNNEL, director, seconds)
        return done.stdout.strip()

    def test_the_agent_takes_off_tunnels_of_its_director_alone(self):
        self.booted.wait(lambda: " ready" in self.booted.call("journalctl", "--unit=sluice-backend").stdout,
                         "the agent is ready")
        self.assertEqual(self.booted.show("sluice-backend", "ActiveState"), "active")
        self.assertEqual(self.ping_in_tunnel("198.51.100.2", 20), f"['{CLIENT}']")
        self.assertEqual(self.ping_in_tunnel("198.51.100.66", 2), "[]")
        self.assertRegex(self.booted.call("sluice-backend", "status").stdout, r"drop_foreign_source +1 ")
        status = self.booted.call("cat", f"/proc/{self.booted.show('sluice-backend', 'MainPID')}/status").stdout
        self.assertNotRegex(status, r"Uid:\t0")
        self.assertEqual(self.booted.call("systemctl", "stop", "sluice-backend").returncode, 0)
        self.assertEqual(self.booted.show("sluice-backend", "Result"), "success")
        self.assertEqual(self.ping_in_tunnel("198.51.100.2", 2), "[]")

    def test_the_journal_has_no_secrets(self):
        """With all that can be logged, over a start, a change and a refused one."""
        default = self.configuration.parents[1] / "default/sluice"
        self.addCleanup(default.write_text, default.read_text("utf-8"), "utf-8")
        default.write_text('SLUICED_OPTIONS="--log-level debug"\n', "ascii")
        self.addCleanup(self.configuration.write_text, CONFIGURATION, "ascii")
        self.assertEqual(self.booted.call("systemctl", "restart", "sluiced").returncode, 0)
        self.configuration.write_text(CONFIGURATION + "  pools: [{name: other}]\n", "ascii")
        self.assertEqual(self.booted.call("systemctl", "reload", "sluiced").returncode, 0)
        self.configuration.write_text(CONFIGURATION.replace(SEED, SEED[1:]), "ascii")
        self.assertNotEqual(self.booted.call("systemctl", "reload", "sluiced").returncode, 0)
        self.booted.wait(lambda: "seed" in self.journal(), "the refusal names the field")
        self.assertNotIn(SEED[1:], self.journal())

    def test_the_journal_knows_levels(self):
        self.configuration.chmod(0o644)
        self.addCleanup(self.configuration.chmod, 0o640)
        self.assertEqual(self.booted.call("systemctl", "restart", "sluiced").returncode, 0)
        warnings = self.booted.call("journalctl", "--unit=sluiced", "--output=cat", "--no-pager", "--priority=warning")
        self.assertIn("every user of the machine can read it", warnings.stdout)
        self.assertIn("\nready\n", self.journal())
        self.assertNotIn("\nready\n", warnings.stdout)


if __name__ == "__main__":
    unittest.main()
