#!/usr/bin/python3
"""Other ways to the same traffic: AF_XDP, a port of several devices, a device of several queues, huge pages."""

import unittest

from lab_case import LabCase
from lab import config
from lab.clients.tools import http_load, ping
from lab.director import number
from lab.network import DIRECTOR, INTERFACE
from lab.process import LabError, wait_until
from nat_case import url
from test_udp import UdpFlows

WEIGHTS = {1: 100, 2: 100, 3: 200}
REQUESTS = 1500
HUGEPAGES = 128
TAP = "wire0"


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
    UDP = True

    def start_with_devices(self, devices, workers=1, **node):
        part = self.director.node(workers=workers, **node)
        part["ports"][0]["devices"] = devices
        self.start_configuration({"node": part, "services": config.services(WEIGHTS)})

    def set_queues(self, count):
        """Of the director's interface and its peer on the switch, which chooses among them by flow."""
        for namespace, interface in ((self.director.namespace, INTERFACE), (self.lab.network.switch, DIRECTOR.role)):
            namespace.run(["ethtool", "-L", interface, "rx", str(count), "tx", str(count)])

    def assert_traffic(self):
        """Returns how many different flows there were, by table."""
        flows = {}
        for version in (4, 6):
            report = http_load(self.client, config.VIP[version], REQUESTS)
            self.assert_all_answered(report)
            self.assert_shares(report["by_backend"], WEIGHTS, points=7)
            self.assertEqual(ping(self.client, DIRECTOR.address(version), 3), 3)
            flows[f"table_v{version}"] = report["ports"]
        return flows

    def assert_seen_by_one_worker(self, flows, before):
        """A worker that sees a packet of a flow it does not know enters the flow: one seen by both counts twice."""
        for table, inserted in self.inserted().items():
            new = [now - then for now, then in zip(inserted, before[table])]
            self.assertEqual(sum(new), flows[table], self.director.ctl("get", "workers")["workers"])
            self.assertGreaterEqual(min(new), 0.3 * flows[table], new)

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
        before = self.inserted()
        self.assert_seen_by_one_worker(self.assert_traffic(), before)
        self.assert_fragmented_datagrams()
        self.assertEqual(self.director.stop(), (0, []))
        self.assert_no_xdp_program()

    def inserted(self):
        """Flows entered by each worker, for each table."""
        workers = self.director.ctl("get", "workers")["workers"]
        return {table: [number(worker[table], "inserted") for worker in workers] for table in ("table_v4", "table_v6")}

    def assert_fragmented_datagrams(self):
        """Datagrams of three fragments, which the kernel here does not put together before the director sees them: the
        fragments of one meet on one worker, whole ones of a flow on another perhaps, and each flow has one backend."""
        for version in (4, 6):
            flows = UdpFlows(self.client, config.VIP[version], 60)
            self.addCleanup(flows.close)
            self.assertEqual(flows.ask(), flows.ask(padding=4000))
        workers = self.director.ctl("get", "workers")["workers"]
        self.assertGreater(sum(number(worker, "handed_over") for worker in workers), 0)
        reasons = self.director.totals_at_rest()["dropped_by_reason"]
        self.assertEqual([reason for reason in reasons if reason.startswith("fragment")], [])

    def test_two_queues_of_a_tap(self):
        """Frames of the director's interface go to the TAP and back, so that it is the wire; the kernel chooses the
        queue by flow."""
        self.start_with_devices([f"net_tap0,iface={TAP},mac={DIRECTOR.mac}"], workers=2)
        namespace = self.director.namespace
        chains = [f'chain from-{device} {{ type filter hook ingress device "{device}" priority 0; fwd to "{other}"; }}'
                  for device, other in ((INTERFACE, TAP), (TAP, INTERFACE))]
        namespace.run(["nft", "-f", "-"], stdin="\n".join(["table netdev wire {", *chains, "}", ""]))
        self.addCleanup(namespace.run, ["nft", "delete", "table", "netdev", "wire"])
        for version in (4, 6):
            wait_until(lambda v=version: self.client.run(
                ["curl", "-sS", "--max-time", "2", "-o", "/dev/null", url(v, "/")], check=False).returncode == 0, 30,
                "the first request is answered")
        before = self.inserted()
        self.assert_seen_by_one_worker(self.assert_traffic(), before)
        self.assert_fragmented_datagrams()

    def test_a_device_without_an_address_has_an_exception_port(self):
        """A ring has none, and the kernel takes no interface without."""
        self.start_with_devices(["net_ring0"])
        mac = self.director.ctl("get", "ports")["ports"][0]["mac"]
        self.assertTrue(mac.startswith("02:5c:"), mac)
        self.assertIn(mac, self.director.namespace.run(["ip", "-brief", "link"]).stdout)

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
