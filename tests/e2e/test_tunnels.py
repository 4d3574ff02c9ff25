#!/usr/bin/python3
"""GUE, GRE and tunnels that mix families over links of MTU 1500: what does not fit is told to the client."""

import hashlib
import re
import unittest

from lab_case import LabCase
from lab import config
from lab.clients.tools import Downloads, http_load, ping

OTHER = {4: 6, 6: 4}


def mixed(services):
    """The VIPs of each family over the pool of the other."""
    for vip in services["vips"]:
        version = 6 if vip["pool"] == config.POOL[6] else 4
        vip["pool"] = config.POOL[OTHER[version]]
    return services


class TunnelsTest(LabCase):
    TUNNELS = True

    def check_traffic(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                self.forget_path_mtu()
                vip = config.VIP[version]
                self.assert_all_answered(http_load(self.client, vip, 500))
                self.assert_downloads(Downloads(self.client, vip, 2, name=f"download{version}").finish())
                url = f"http://[{vip}]/upload/{version}" if version == 6 else f"http://{vip}/upload/{version}"
                done = self.client.run(["curl", "-sS", "--fail", "--max-time", "20", "-T", self.lab.backends.big_path,
                                        "--dump-header", "-", url], timeout=30)
                backend = re.search(r"^X-Backend: (\S+)", done.stdout, re.MULTILINE).group(1)
                arrived = hashlib.sha256(self.lab.backends.uploaded(backend, str(version))).hexdigest()
                self.assertEqual(arrived, self.lab.backends.big_sha256)

    def forget_path_mtu(self):
        for family in ("-4", "-6"):
            self.client.run(["ip", family, "route", "flush", "cache"])

    def answers(self, kind):
        workers = self.director.ctl("get", "workers")["workers"]
        return sum(int(worker["answers"].get(kind, 0)) for worker in workers)

    def check_mode(self, mode, change=lambda services: services):
        self.start(change(config.services({1: 100, 2: 100}, mode=mode, udp=False)))
        self.check_traffic()
        # The clients began with full segments: they were told the tunnel's MTU, once a family and destination at least.
        self.assertGreaterEqual(self.answers("packet_too_big"), 2)

    def test_gue(self):
        self.check_mode("gue")

    def test_gue_direct(self):
        self.check_mode("gue-direct")

    def test_gre(self):
        self.check_mode("gre")

    def test_ipip_of_the_other_family(self):
        self.check_mode("ipip", mixed)

    def test_gue_of_the_other_family(self):
        self.check_mode("gue", mixed)


class EchoTest(LabCase):
    def test_vips_answer_echo_requests(self):
        services = config.services({1: 100}, udp=False)
        self.start(services)
        for version in (4, 6):
            for size in (56, 1400):
                self.assertEqual(ping(self.client, config.VIP[version], 3, size=size), 3)


if __name__ == "__main__":
    unittest.main()
