#!/usr/bin/python3
"""Destination NAT: backends without VIPs, which see the client's address and answer through the director."""

import contextlib
import os
import socket
import unittest

from lab_case import LabCase  # noqa: F401, makes `lab` importable
from nat_case import NatCase, route_through_director
from lab import config
from lab.backends import UDP_PORT
from lab.clients.tools import HeldConnections, http_load
from lab.network import DIRECTOR
from lab.process import wait_until
from test_udp import UdpFlows


class NatTest(NatCase):
    MODE = "nat"

    @classmethod
    def prepare_backend(cls, namespace, index):
        route_through_director(namespace)

    def test_requests_and_transfers(self):
        self.start(self.services({1: 100, 2: 100}))
        self.check_requests_and_transfers()
        for version in (4, 6):
            self.assertEqual(self.seen_by_backend(version), [self.client_address(version)])
        self.assertGreater(self.total("nat", "stateless_replies"), 0)
        self.assertEqual(self.total("table_nat", "entries"), 0, "each backend port serves one VIP: no state is needed")

    def test_iperf3_both_ways(self):
        self.start(self.services({1: 100}))
        self.check_iperf3(self.MODE)

    def test_udp(self):
        self.start(self.services({1: 100, 2: 100}))
        for version in (4, 6):
            self.resolve_client(version)
            flows = UdpFlows(self.client, config.VIP[version], 100)
            self.addCleanup(flows.close)
            self.assertEqual(flows.ask(), flows.ask())

    def test_changes(self):
        self.start(self.services({1: 100, 2: 100}))
        self.check_changes()

    def test_two_vips_of_one_backend_port(self):
        """Replies are ambiguous, so flows have sessions."""
        services = self.services({1: 100, 2: 100})
        for version in (4, 6):
            services["vips"].append({"name": f"second{version}", "address": config.VIP[version], "protocol": "tcp",
                                     "port": 8080, "pool": f"mapped{version}", "mode": "nat"})
            services["pools"].append({"name": f"mapped{version}", "backends": [
                config.backend(index, version, port=80) for index in (1, 2)]})
        self.start(services)
        for version in (4, 6):
            self.assert_all_answered(http_load(self.client, config.VIP[version], 300))
            vip = config.VIP[version]
            address = f"http://[{vip}]:8080/big" if version == 6 else f"http://{vip}:8080/big"
            self.client.run(["curl", "-sS", "--fail", "--max-time", "30", "-o", "/dev/null", address], timeout=40)
        self.assertGreater(self.total("table_nat", "inserted"), 600)

    def cookie_services(self, weights, keys=(0,)):
        """Cookies are made with the last of the keys."""
        services = self.services(weights)
        services["cookie_keys"] = []
        for number in keys:
            path = os.path.join(self.lab.run.directory, f"cookie-{number}.key")
            with open(path, "w", encoding="ascii") as file:
                file.write(bytes(range(number, number + 16)).hex() + "\n")
            services["cookie_keys"].append({"number": number, "file": path})
        for vip in services["vips"]:
            if vip["protocol"] == "tcp":
                vip.update(consistency="cookie", cookie={"backend_bits": 10, "check_bits": 2, "key": keys[-1]})
        for pool in services["pools"]:
            pool["policy"] = "least-connections"
            for backend in pool["backends"]:
                backend["cookie_id"] = 10 + int(backend["name"].rpartition("-")[2])
        return services

    def with_cookies(self, weights, keys):
        return {"node": self.director.node(), "services": self.cookie_services(weights, keys)}

    def all_acknowledged(self):
        sockets = [line for namespace in self.lab.network.backends.values()
                   for line in namespace.run(["ss", "-Htn", "state", "connected"]).stdout.splitlines()]
        self.assertTrue(sockets)
        return all(int(line.split()[2]) == 0 for line in sockets)  # State, Recv-Q, Send-Q

    def test_cookies_outlive_the_director(self):
        """A director that knows nothing of connections goes on with them, although it would choose other backends."""
        self.start(self.cookie_services({1: 100, 2: 100}))
        self.check_requests_and_transfers()
        held = [HeldConnections(self.client, config.VIP[version], 30, name=f"held{version}") for version in (4, 6)]
        for connections in held:
            self.assert_all_speak(connections)
        before = {name: self.started(name) for name in ("backend-1", "backend-2")}
        self.assertGreater(min(before.values()), 0)
        # Another key is used for new connections, while the old ones keep theirs.
        self.director.reload(self.with_cookies({1: 100, 2: 100}, keys=(0, 1)))
        self.wait_for_workers()
        wait_until(lambda: "+ cookie key 1" in self.director.ctl_text("history"), 20, "the new key is known")
        new = [HeldConnections(self.client, config.VIP[version], 10, name=f"new{version}") for version in (4, 6)]
        self.director.kill()
        self.director.start(self.with_cookies({1: 0, 2: 0, 3: 900}, keys=(0, 1)))
        for connections in held + new:
            self.assert_all_speak(connections)
        # Without the old key a director that knows nothing of them loses these alone. It would adopt those of which it
        # sees a backend's answer first, with the key that it has: so none is on its way, nor would be sent again
        # because the client's ACK is lost with the old director.
        for connections in held + new:
            connections.pause()
        wait_until(self.all_acknowledged, 10, "backends have the ACKs of all their answers")
        self.director.kill()
        self.director.start(self.with_cookies({1: 0, 2: 0, 3: 900}, keys=(1,)))
        for connections in held + new:
            connections.resume()
        for connections in new:
            self.assert_all_speak(connections)
            self.assert_held(connections.stop())
        for connections in held:
            wait_until(lambda c=connections: len(c.status()["failures"]) == 30, 60, "those of the old key break")
            connections.stop()
        rungs = {}
        for worker in self.workers():
            for rung, packets in worker["rungs"].items():
                rungs[rung] = rungs.get(rung, 0) + int(packets)
        self.assertGreater(rungs["cookie"], 0)

    def test_two_workers(self):
        """A reply comes to the worker that the fan-out chooses, and goes to the flow's owner over a ring."""
        self.start(self.services({1: 100, 2: 100}), workers=2)
        self.check_requests_and_transfers()
        self.check_changes()
        self.assertGreater(self.total("handed_over"), 0)

    def test_the_director_is_a_hop(self):
        """What traceroute does: a datagram whose hops end at the director is answered by the director's own address."""
        self.start(self.services({1: 100}))
        for version, own in ((4, DIRECTOR.ipv4), (6, DIRECTOR.ipv6)):
            self.assertEqual(offender(self.client, version, config.VIP[version], hops=1), own)


def offender(namespace, version, address, hops):
    """Who answers with an ICMP error to a datagram of so many hops (ip(7), IP_RECVERR)."""
    v4 = version == 4
    flow = namespace.socket(socket.AF_INET if v4 else socket.AF_INET6, socket.SOCK_DGRAM)
    with flow:
        level = socket.IPPROTO_IP if v4 else socket.IPPROTO_IPV6
        flow.setsockopt(level, socket.IP_TTL if v4 else socket.IPV6_UNICAST_HOPS, hops)
        flow.setsockopt(level, 11 if v4 else 25, 1)  # IP_RECVERR, IPV6_RECVERR
        flow.connect((address, UDP_PORT))

        def error():
            try:
                return flow.recvmsg(512, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)[1]
            except BlockingIOError:
                # Kernels send few such errors in a second.
                with contextlib.suppress(OSError):
                    flow.send(b"?")
                return None

        data = wait_until(error, 30, f"an error about a datagram of {hops} hops", interval=0.2)[0][2]
        at = 16 + (4 if v4 else 8)  # struct sock_extended_err, then the offender's sockaddr
        return socket.inet_ntop(flow.family, data[at : at + (4 if v4 else 16)])


if __name__ == "__main__":
    unittest.main()
