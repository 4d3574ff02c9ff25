#!/usr/bin/python3
"""Other ways to the same traffic: AF_XDP, a port of several devices, huge pages."""

import unittest

from lab_case import LabCase
from lab import config
from lab.clients.tools import http_load, ping
from lab.director import number
from lab.network import DIRECTOR, INTERFACE
from lab.process import LabError

WEIGHTS = {1: 100, 2: 100, 3: 200}
REQUESTS = 1500
HUGEPAGES = 128


def hugepages():
    """(total, free) huge pages of the machine."""
    with open("/proc/meminfo", encoding="ascii") as file:
        values = {line.split(":")[0]: line.split()[1] for line in file}
    return int(values["HugePages_Total"]), int(values["HugePages_Free"])


def set_hugepages(count):
    with open("/proc/sys/vm/nr_hugepages", "w", encoding="ascii") as file:
        file.write(str(count))


class DevicesTest(LabCase):
    BACKENDS = 3

    def start_with_devices(self, devices, workers=1, **node):
        part = self.director.node(workers=workers, **node)
        part["ports"][0]["devices"] = devices
        self.start_configuration({"node": part, "services": config.services(WEIGHTS, udp=False)})

    def set_queues(self, count):
        """Of the director's interface and its peer on the switch, which chooses among them by flow."""
        for namespace, interface in ((self.director.namespace, INTERFACE), (self.lab.network.switch, DIRECTOR.role)):
            namespace.run(["ethtool", "-L", interface, "rx", str(count), "tx", str(count)])

    def assert_traffic(self):
        for version in (4, 6):
            report = http_load(self.client, config.VIP[version], REQUESTS)
            self.assert_all_answered(report)
            self.assert_shares(report["by_backend"], WEIGHTS, points=7)
            self.assertEqual(ping(self.client, DIRECTOR.address(version), 3), 3)

    def assert_no_xdp_program(self):
        self.assertNotIn("xdp", self.director.namespace.run(["ip", "link", "show", INTERFACE]).stdout)

    def test_af_xdp(self):
        self.start_with_devices([f"net_af_xdp0,iface={INTERFACE}"])
        self.assert_traffic()
        self.assertEqual(self.director.stop(), (0, []))
        self.assert_no_xdp_program()

    def test_a_port_of_two_devices_one_for_each_worker(self):
        self.set_queues(2)
        self.addCleanup(self.set_queues, 1)
        self.start_with_devices([f"net_af_xdp{queue},iface={INTERFACE},start_queue={queue}" for queue in (0, 1)],
                                workers=2)
        self.assert_traffic()
        for table in ("table_v4", "table_v6"):
            inserted = [number(worker[table], "inserted") for worker in self.director.ctl("get", "workers")["workers"]]
            self.assertEqual(sum(inserted), REQUESTS, "each flow is seen by one worker")
            self.assertGreaterEqual(min(inserted), 0.3 * REQUESTS, inserted)
        self.assertEqual(self.director.stop(), (0, []))
        self.assert_no_xdp_program()

    def test_hugepages(self):
        before, _ = hugepages()
        self.addCleanup(set_hugepages, before)
        set_hugepages(before + HUGEPAGES)
        total, free = hugepages()
        if free < HUGEPAGES:
            raise LabError(f"the kernel gave {total - before} of {HUGEPAGES} huge pages of 2 MB; this test needs them")
        self.start_with_devices([f"net_af_packet0,iface={INTERFACE}"], memory={"hugepages": "require"})
        self.assertLess(hugepages()[1], free, "sluiced uses huge pages")
        self.assert_traffic()
        self.assertEqual(self.director.stop(), (0, []))
        self.assertEqual(hugepages(), (total, free), "all huge pages are free again")


if __name__ == "__main__":
    unittest.main()
