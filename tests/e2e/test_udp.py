#!/usr/bin/python3
"""UDP: every datagram answered, each flow by one backend, also across changes."""

import collections
import socket
import unittest

from lab_case import LabCase
from lab import config
from lab.backends import UDP_PORT

FLOWS = 300


class UdpFlows:
    """Connected sockets of the client, each a flow of its own."""

    def __init__(self, namespace, address, count):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sockets = [namespace.socket(family, socket.SOCK_DGRAM) for _ in range(count)]
        for flow in self.sockets:
            flow.settimeout(5)
            flow.connect((address, UDP_PORT))

    def ask(self, padding=0):
        """One datagram on each flow, so many bytes longer; the backends that answered, in the flows' order."""
        names = []
        for index, flow in enumerate(self.sockets):
            question = b"flow %d" % index + bytes(padding)
            flow.send(question)
            name, _, text = flow.recv(65536).partition(b" ")
            if text != question:
                raise AssertionError(f"flow {index} got the answer {text[:100]!r}")
            names.append(name.decode())
        return names

    def close(self):
        for flow in self.sockets:
            flow.close()


class UdpTest(LabCase):
    UDP = True

    def test_quic_ids_name_backends_from_any_address(self):
        services = config.services({1: 100, 2: 100, 3: 100})
        for pool in services["pools"]:
            for index, backend in enumerate(pool["backends"]):
                backend["quic_server_ids"] = [f"aa{index:02x}"]
        for vip in services["vips"]:
            vip["quic"] = vip["protocol"] == "udp"
        services["quic_configs"] = [{"number": 3, "server_id_bytes": 2, "nonce_bytes": 6}]
        self.start(services)
        for version in (4, 6):
            # Each datagram from a port of its own, as after a change of the client's address.
            flows = UdpFlows(self.client, config.VIP[version], 30)
            self.addCleanup(flows.close)
            for index, flow in enumerate(flows.sockets):
                packet = bytes([0x41, 3 << 5 | 8, 0xAA, index % 3]) + bytes(range(20))
                flow.send(packet)
                name, _, text = flow.recv(2048).partition(b" ")
                self.assertEqual((name.decode(), text), (f"backend-{index % 3 + 1}", packet))
        rungs = self.director.ctl("get", "workers")["workers"][0]["rungs"]
        self.assertEqual(int(rungs["quic"]), 60)

    def test_flows_keep_their_backend_across_changes(self):
        self.start(config.services({1: 100, 2: 100, 3: 200}), timeouts={"udp_s": 60})
        for version in (4, 6):
            with self.subTest(ip=version):
                pool = config.POOL[version]
                flows = UdpFlows(self.client, config.VIP[version], FLOWS)
                self.addCleanup(flows.close)
                first = flows.ask()
                self.assertEqual(set(first), {"backend-1", "backend-2", "backend-3"})
                # Two standard deviations and more of 300 draws: a quarter, a quarter, a half.
                self.assert_shares(collections.Counter(first), {1: 100, 2: 100, 3: 200}, points=12)
                self.director.ctl("backend", "add", pool, "backend-4",
                                  config.backend(4, version)["address"])
                self.assertEqual(flows.ask(), first)
                self.director.ctl("backend", "drain", pool, "backend-1")
                self.assertEqual(flows.ask(), first)
                self.wait_for_workers()
                late = UdpFlows(self.client, config.VIP[version], FLOWS)
                self.addCleanup(late.close)
                names = set(late.ask())
                self.assertIn("backend-4", names)
                self.assertNotIn("backend-1", names)
                self.assertEqual(flows.ask(), first)

    def test_an_idle_flow_is_forgotten(self):
        self.start(config.services({1: 100}), timeouts={"udp_s": 2})
        flows = UdpFlows(self.client, config.VIP[4], 50)
        self.addCleanup(flows.close)
        flows.ask()
        self.assertEqual(self.started("backend-1"), 50)
        self.wait_for_no_flows("backend-1")


if __name__ == "__main__":
    unittest.main()
