#!/usr/bin/python3
"""Second chances: a director that has lost its table, after the backends have changed, goes by the hash and names whom
a connection may have been with; that backend's agent gets what the first one has no socket for."""

import re
import socket
import threading
import unittest

from scapy.all import IP, TCP, UDP, Ether, IPv6, Raw, raw

from lab_case import LabCase
from lab import config
from lab.clients.tools import HeldConnections
from lab.network import DIRECTOR, INTERFACE, backend_host
from lab.process import wait_until

GUE_PORT = 6080
CONNECTIONS = 40  # of each family


class FaultyDirector(threading.Thread):
    """A director that has lost what it knew: a connection's SYN went to one backend, and the rest goes to another, by a
    tunnel that names the first one or nobody."""

    def __init__(self, client, version, began, now, names):
        super().__init__(daemon=True)
        self._version, self._began, self._now, self._names = version, began, now, names
        self._wire = client.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._wire.bind((INTERFACE, 0))
        self._wire.settimeout(0.05)
        self._done = threading.Event()

    def run(self):
        header = IP if self._version == 4 else IPv6
        while not self._done.is_set():
            try:
                frame = Ether(self._wire.recv(2048))
            except TimeoutError:
                continue
            if header not in frame or TCP not in frame or frame[header].dst != config.VIP[self._version]:
                continue
            inner = raw(frame[header])[:frame[IP].len if self._version == 4 else 40 + frame[IPv6].plen]
            syn = bool(frame[TCP].flags.S)
            self._send(self._began if syn else self._now, inner, b"" if syn else self._private_data())

    def stop(self):
        self._done.set()
        self.join()
        self._wire.close()

    def _private_data(self):
        if not self._names:
            return b""
        family = socket.AF_INET if self._version == 4 else socket.AF_INET6
        return bytes([1, 0, 0, 0]) + socket.inet_pton(family, self._began.address(self._version))

    def _send(self, backend, inner, name):
        gue_header = bytes([len(name) // 4, 4 if self._version == 4 else 41, 0, 0])
        udp = UDP(sport=50000, dport=GUE_PORT, **({"chksum": 0} if self._version == 4 else {}))
        ip = IP if self._version == 4 else IPv6
        packet = ip(src=DIRECTOR.address(self._version), dst=backend.address(self._version)) / udp
        self._wire.send(raw(Ether(src=DIRECTOR.mac, dst=backend.mac) / packet / Raw(gue_header + name + inner)))


class SecondChanceTest(LabCase):
    """A connection whose director has lost its table, after the backends have changed: it lives by a second chance."""

    TUNNELS = True
    BACKENDS = 2
    AGENT_OPTIONS = ("--peer", "192.0.2.8/29,2001:db8::10/124")

    def setUp(self):
        for version, option in ((4, "-4"), (6, "-6")):
            # Nobody is there who would answer for the director's address.
            self.client.run(["ip", option, "neighbour", "replace", DIRECTOR.address(version), "lladdr", DIRECTOR.mac,
                             "dev", INTERFACE, "nud", "permanent"])

    def answer_by(self, version, names):
        """The backend that a request was answered by."""
        director = FaultyDirector(self.client, version, backend_host(2), backend_host(1), names)
        director.start()
        try:
            with self.client.socket(socket.AF_INET if version == 4 else socket.AF_INET6) as connection:
                connection.settimeout(30)
                connection.connect((config.VIP[version], 80))
                answers = b""
                for _ in range(3):
                    connection.sendall(b"GET / HTTP/1.1\r\nHost: vip\r\n\r\n")
                    answers += connection.recv(4096)
                return sorted(set(re.findall(rb"X-Backend: (\S+)", answers)))
        finally:
            director.stop()

    def test_it_lives_by_the_name_and_dies_without(self):
        counted = {role: self.lab.backends.agent_status(role)["counters"] for role in ("backend-1", "backend-2")}
        for version in (4, 6):
            with self.subTest(ip=version):
                self.assertEqual(self.answer_by(version, names=True), [b"backend-2"])
                with self.assertRaises(ConnectionError):
                    self.answer_by(version, names=False)

        def more(role, name):
            return self.lab.backends.agent_status(role)["counters"][name] - counted[role][name]

        self.assertGreaterEqual(more("backend-1", "second_chance_given"), 2 * 4)
        self.assertEqual(more("backend-2", "second_chance_taken"), more("backend-1", "second_chance_given"))
        self.assertEqual(more("backend-2", "second_chance_given"), 0)

    def test_connections_outlive_the_director_by_it_and_end_without(self):
        """Clients without timestamps, and so without cookies; sluiced starts anew while a backend drains, and knows
        none of them."""
        self.client.sysctl(net__ipv4__tcp_timestamps=0)
        self.addCleanup(self.client.sysctl, net__ipv4__tcp_timestamps=1)
        counted = self.agents()
        self.start(self.services())
        held = {version: HeldConnections(self.client, vip, CONNECTIONS, name=f"held{version}")
                for version, vip in config.VIP.items()}
        there = {version: one.status()["by_backend"]["backend-2"]["open"] for version, one in held.items()}
        self.assertGreater(min(there.values()), 0)
        self.director.kill()
        self.director.start(self.configuration(drain=True))
        for one in held.values():
            self.speak_on(one)
            status = one.status()
            self.assert_held(status)
            self.assertEqual(status["open"], CONNECTIONS)
        given, taken = (sum(after[name] - before[name] for before, after in zip(counted, self.agents()))
                        for name in ("second_chance_given", "second_chance_taken"))
        self.assertGreaterEqual(given, 3 * sum(there.values()))
        self.assertGreaterEqual(taken, 3 * sum(there.values()))
        named = sum(value for (name, _), value in self.director.metrics().items()
                    if name == "sluice_worker_second_chances_total")
        self.assertGreaterEqual(named, given)
        # The same without a second chance.
        self.director.reload(self.configuration(drain=True, second_chance=False))
        for version, one in held.items():
            wait_until(lambda one=one, version=version: len(one.status()["failures"]) >= there[version], 30,
                       "what began at the backend that drains ends")
            self.speak_on(one)
            status = one.stop()
            self.assertEqual(len(status["failures"]), there[version], status["failures"])
            self.assertTrue(all("backend-2" in failure for failure in status["failures"]), status["failures"])

    @staticmethod
    def speak_on(held):
        """Until the connections that live have had some requests more."""
        before = held.status()["requests"]
        wait_until(lambda: (now := held.status())["requests"] >= before + 4 * now["open"], 60, "they speak on")

    def agents(self):
        return [self.lab.backends.agent_status(role)["counters"] for role in ("backend-1", "backend-2")]

    @staticmethod
    def services(drain=False, second_chance=True):
        services = config.services({1: 100, 2: 100}, mode="gue", udp=False)
        for pool in services["pools"]:
            pool["backends"][1]["drain"] = drain
        for vip in services["vips"]:
            vip["second_chance"] = second_chance
        return services

    def configuration(self, **fields):
        return {"node": self.director.node(), "services": self.services(**fields)}


if __name__ == "__main__":
    unittest.main()
