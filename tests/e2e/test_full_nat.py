#!/usr/bin/python3
"""Full NAT: backends see local addresses of the director, and the client's through the PROXY protocol."""

import unittest

from lab_case import LabCase  # noqa: F401, makes `lab` importable
from nat_case import NatCase
from lab import config
from lab.backends import PROXY_PORT
from lab.clients.tools import HeldConnections, http_load
from test_udp import UdpFlows

LOCAL = {4: "192.0.2.3", 6: "2001:db8::3"}
NAT = {"local_addresses": list(LOCAL.values()), "local_ports": "20000-59999"}
OTHER = {4: 6, 6: 4}


def with_proxy_protocol(weights):
    """Services: pools whose backends expect the header, and VIPs that send it."""
    services = config.services(weights, mode="full-nat", udp=False)
    for pool in services["pools"]:
        for backend in pool["backends"]:
            backend["port"] = PROXY_PORT
    for vip in services["vips"]:
        vip["proxy_protocol"] = "v2"
    return services


class FullNatTest(NatCase):
    MODE = "full-nat"

    def start_nat(self, services, **node):
        self.start(services, nat=NAT, **node)

    def test_requests_and_transfers(self):
        self.start_nat(self.services({1: 100, 2: 100}))
        self.check_requests_and_transfers()
        for version in (4, 6):
            self.assertEqual(self.seen_by_backend(version), [LOCAL[version]])
        self.assertGreater(self.total("nat", "replies"), 0)

    def test_iperf3_both_ways(self):
        self.start_nat(self.services({1: 100}))
        self.check_iperf3(self.MODE)

    def test_udp(self):
        self.start_nat(self.services({1: 100, 2: 100}))
        for version in (4, 6):
            self.resolve_client(version)
            flows = UdpFlows(self.client, config.VIP[version], 100)
            self.addCleanup(flows.close)
            self.assertEqual(flows.ask(), flows.ask())

    def test_changes(self):
        self.start_nat(self.services({1: 100, 2: 100}))
        self.check_changes()

    def test_between_families(self):
        services = config.services({1: 100, 2: 100}, mode="full-nat")
        for vip in services["vips"]:
            version = 6 if vip["pool"] == config.POOL[6] else 4
            vip["pool"] = config.POOL[OTHER[version]]
        self.start_nat(services)
        self.check_requests_and_transfers()
        for version in (4, 6):
            self.assertEqual(self.seen_by_backend(version), [LOCAL[OTHER[version]]])
            self.resolve_client(version)
            flows = UdpFlows(self.client, config.VIP[version], 50)
            self.addCleanup(flows.close)
            self.assertEqual(flows.ask(), flows.ask())

    def test_proxy_protocol(self):
        self.start_nat(with_proxy_protocol({1: 100, 2: 100}))
        self.check_requests_and_transfers()
        for version in (4, 6):
            address, port, vip, connection = self.seen_by_backend(version)
            self.assertEqual((address, vip, connection),
                             (self.client_address(version), config.VIP[version], LOCAL[version]))
            self.assertGreaterEqual(int(port), 1024)
        self.assertGreater(self.total("nat", "proxy_headers"), 0)

    def test_local_ends_that_the_backend_remembers(self):
        """The director forgets closed connections sooner than the backend, which has them in TIME-WAIT: a new client's
        SYN with the same local end is none of the old connection's, and the client has to end that first."""
        self.start(with_proxy_protocol({1: 100}), nat={**NAT, "local_ports": "20000-20031"},
                   timeouts={"tcp_closing_s": 1})
        for version in (4, 6):
            for _ in range(2):
                self.assert_all_answered(http_load(self.client, config.VIP[version], 24))
                self.wait_for_no_flows("backend-1", config.POOL[version])
            waiting = self.lab.network.backends["backend-1"].run(["ss", "-Hatn", f"-{version}", "state", "time-wait"])
            self.assertGreater(len(waiting.stdout.splitlines()), 8)

    def test_two_workers(self):
        """The local port says whose a reply is; the fan-out knows nothing of it, so half of them go over a ring."""
        self.start_nat(self.services({1: 100, 2: 100}), workers=2)
        self.check_requests_and_transfers()
        self.check_changes()
        self.assertGreater(self.total("handed_over"), 0)

    def test_a_small_range_of_ports_hurts_new_flows_only(self):
        services = config.services({1: 100}, mode="full-nat", versions=(4,), udp=False)
        self.start(services, nat={"local_addresses": [LOCAL[4]], "local_ports": "20000-20015"})
        held = HeldConnections(self.client, config.VIP[4], 16)
        self.client.run(["curl", "-sS", "--max-time", "1", f"http://{config.VIP[4]}/"], check=False)
        self.assert_all_speak(held)
        self.assertGreater(self.director.totals()["dropped_by_reason"].get("nat_ports_exhausted", 0), 0)
        self.assert_held(held.stop())


if __name__ == "__main__":
    unittest.main()
