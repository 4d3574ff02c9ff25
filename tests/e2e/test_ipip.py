#!/usr/bin/python3
"""IPIP mode: IPv4 in IPv4 and IPv6 in IPv6 to backends whose agent takes the outer header off."""

import signal
import subprocess
import unittest

from lab_case import LabCase
from lab import config
from lab.clients.tools import Downloads, HeldConnections, http_load
from lab.network import DIRECTOR, backend_host
from lab.process import wait_until


class IpipTest(LabCase):
    TUNNELS = True

    def setUp(self):
        self.start(config.services({1: 100, 2: 100, 3: 200, 4: 0}, mode="ipip", udp=False))

    def test_requests_and_downloads(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                report = http_load(self.client, config.VIP[version], 3000)
                self.assert_all_answered(report)
                self.assert_shares(report["by_backend"], {1: 100, 2: 100, 3: 200}, points=5)
                downloads = Downloads(self.client, config.VIP[version], 6, name=f"download{version}")
                self.assert_downloads(downloads.finish())

    def test_packets_are_encapsulated(self):
        """On the wire to a backend: nothing for a VIP comes from the director without an outer header."""
        capture = self.lab.network.switch.start("capture", [
            "tcpdump", "-i", "backend-3", "-nn", "-l", "--immediate-mode", f"ether src {DIRECTOR.mac} and (ip or ip6)"],
            stdout=subprocess.PIPE)
        wait_until(lambda: "listening on" in capture.log(), 10, "tcpdump listens")
        for version in (4, 6):
            self.assert_all_answered(http_load(self.client, config.VIP[version], 100))
        self.director.totals_at_rest()
        capture.send_signal(signal.SIGINT)
        lines = capture.popen.communicate(timeout=10)[0].decode().splitlines()
        for version in (4, 6):
            outer = f"{DIRECTOR.address(version)} > {backend_host(3).address(version)}: "
            inside = [line for line in lines if outer in line and f" > {config.VIP[version]}.80: Flags" in line]
            to_vip = [line for line in lines if f" > {config.VIP[version]}.80: Flags" in line]
            self.assertTrue(inside, lines[:5])
            self.assertEqual(inside, to_vip)

    def test_uploads_arrive_whole(self):
        """Full segments from the client: these, not the answers, are what the director encapsulates."""
        for version in (4, 6):
            with self.subTest(ip=version):
                self.assert_upload(version, str(version))
        self.assertEqual(self.director.totals_at_rest()["dropped_by_reason"].get("too_big", 0), 0)

    def test_held_connections_survive_add_and_drain(self):
        held = HeldConnections(self.client, config.VIP[4], 40)
        self.director.ctl("backend", "drain", config.POOL[4], "backend-3")
        report = http_load(self.client, config.VIP[4], 500)
        self.assert_all_answered(report)
        self.director.ctl("backend", "undrain", config.POOL[4], "backend-3")
        self.assert_all_answered(http_load(self.client, config.VIP[4], 500))
        self.assert_held(held.stop())


if __name__ == "__main__":
    unittest.main()
