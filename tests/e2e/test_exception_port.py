#!/usr/bin/python3
"""The director's own kernel stays reachable through the interface that sluiced took."""

import os
import socket
import subprocess
import unittest

from lab_case import LabCase
from lab import config
from lab.clients.tools import curl, http_load, ping, ping_until_answered, stop_flood
from lab.network import CLIENT, DIRECTOR, INTERFACE, VIP4, VIP6, backend_host
from lab.process import wait_until

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "lab")


class ExceptionPortTest(LabCase):
    def setUp(self):
        self.start(config.services({1: 100, 2: 100}, udp=False))

    def serve_ssh(self):
        """A server on port 22 of the director's own addresses."""
        server = self.director.namespace.start(
            "banner", ["/usr/bin/python3", os.path.join(TOOLS, "servers", "tcp_banner.py"), "22"])
        self.addCleanup(server.kill)
        wait_until(lambda: ":22 " in self.director.namespace.run(["ss", "-Htln"]).stdout, 10, "port 22 listens")

    def open_ssh(self, address, timeout=5):
        """A new connection to port 22; returns the socket after the server's first line."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = self.client.socket(family)
        connection.settimeout(timeout)
        connection.connect((address, 22))
        self.assertEqual(connection.recv(64), b"SSH-2.0-lab\r\n")
        return connection

    def test_echo_requests(self):
        for address in (DIRECTOR.ipv4, DIRECTOR.ipv6):
            for size in (56, 1400):
                with self.subTest(address=address, size=size):
                    self.assertEqual(ping(self.client, address, 5, size=size), 5)

    def test_neighbours_are_resolved_both_ways(self):
        self.client.ip(f"neigh flush dev {INTERFACE}")
        for address in (DIRECTOR.ipv4, DIRECTOR.ipv6):
            self.assertEqual(ping(self.client, address, 1), 1)
            entry = self.client.run(["ip", "neigh", "show", address]).stdout
            self.assertIn(DIRECTOR.mac, entry)
        # And from the host: its kernel asks, the answer comes in through sluiced.
        for address in (backend_host(1).ipv4, backend_host(1).ipv6, CLIENT.ipv4):
            self.assertEqual(ping(self.director.namespace, address, 3), 3)

    def test_its_mac_address_is_given_back(self):
        """systemd-udevd may set another one after sluiced has set the port's."""
        self.director.namespace.ip(f"link set {config.EXCEPTION_INTERFACE} address 02:5c:00:00:00:99")
        wait_until(lambda: DIRECTOR.mac in self.director.namespace.run(
            ["ip", "link", "show", config.EXCEPTION_INTERFACE]).stdout, 10, "the interface has the port's MAC address")
        self.client.ip(f"neigh flush dev {INTERFACE}")
        self.assertEqual(ping(self.client, DIRECTOR.ipv4, 3), 3)

    def test_connections_to_the_host(self):
        self.serve_ssh()
        for address in (DIRECTOR.ipv4, DIRECTOR.ipv6):
            with self.subTest(address=address), self.open_ssh(address) as connection:
                data = os.urandom(200_000)
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                back = b""
                while block := connection.recv(65536):
                    back += block
                self.assertEqual(back, data)

    def test_connections_from_the_host(self):
        self.assertEqual(curl(self.director.namespace, f"http://{backend_host(2).ipv4}/"), "backend-2\n")
        self.assertEqual(curl(self.director.namespace, f"http://[{backend_host(2).ipv6}]/"), "backend-2\n")

    def test_the_host_answers_once(self):
        """Through the exception port, and not beside it on the interface itself."""
        for address in (DIRECTOR.ipv4, DIRECTOR.ipv6):
            with self.subTest(address=address):
                output = self.client.run(["ping", "-n", "-c", "5", "-i", "0.2", "-W", "1", address]).stdout
                self.assertIn(" 5 received", output)
                self.assertNotIn("duplicates", output)
        with self.client.socket() as connection, self.assertRaises(ConnectionRefusedError):
            connection.settimeout(5)
            connection.connect((DIRECTOR.ipv4, 81))

    def test_a_flood_to_closed_ports_does_not_cut_the_host_off(self):
        self.serve_ssh()
        totals = self.director.totals()
        flood = self.client.start("flood", [
            "/usr/bin/python3", os.path.join(TOOLS, "clients", "flood.py"), "--interface", INTERFACE, "--mac",
            DIRECTOR.mac, "--source", CLIENT.ipv4, "--target", DIRECTOR.ipv4, "--rate", "60000", "--seconds", "300"],
            stdout=subprocess.PIPE)
        wait_until(lambda: self.director.totals()["received"] > totals["received"] + 20000, 10, "the flood has begun")
        opened = answered = pinged = 0
        # As long as it takes until there was enough of everything: some of the pings may be lost before sluiced.
        while opened < 10 or answered < 5 or self.director.totals()["received"] < totals["received"] + 100_000:
            self.assertTrue(flood.running())
            self.open_ssh(DIRECTOR.ipv4, timeout=30).close()
            self.open_ssh(DIRECTOR.ipv6, timeout=30).close()
            opened += 2
            pinged += ping_until_answered(self.client, DIRECTOR.ipv4, 1)
            answered += 1
        report = stop_flood(flood)
        after = self.director.totals_at_rest()
        rejected = after["dropped_by_reason"].get("punt_rate_limited", 0)
        print(f"\nflood of {report['sent']} packets in {report['seconds']} s, {rejected} beyond the host's share; "
              f"meanwhile {opened} new connections to port 22, {answered} of {pinged} pings answered", flush=True)
        self.assertGreater(rejected, 0, "the flood must be more than the host is given, or nothing is shown")

    def test_the_host_can_announce_a_vip_by_proxy_arp(self):
        """README.md's way for a flat network: the client looks for the VIP on its own network."""
        name = config.EXCEPTION_INTERFACE
        host = self.director.namespace
        host.sysctl(**{f"net__ipv4__conf__{name}__forwarding": 1, f"net__ipv6__conf__{name}__forwarding": 1,
                       f"net__ipv6__conf__{name}__proxy_ndp": 1})
        for vip, bits, gateway in ((VIP4, 32, DIRECTOR.ipv4), (VIP6, 128, DIRECTOR.ipv6)):
            host.ip(f"route add {vip}/{bits} dev lo", f"neigh add proxy {vip} dev {name}")
            self.client.ip(f"route del {vip}/{bits}", f"route add {vip}/{bits} dev {INTERFACE}")
            self.addCleanup(self.client.ip, f"route del {vip}/{bits}", f"route add {vip}/{bits} via {gateway}")
            self.addCleanup(host.ip, f"route del {vip}/{bits} dev lo")
            self.assert_all_answered(http_load(self.client, vip, 100))
            self.assertIn(DIRECTOR.mac, self.client.run(["ip", "neigh", "show", vip]).stdout)

    def test_vips_are_served_during_a_flood(self):
        flood = self.client.start("flood-vip", [
            "/usr/bin/python3", os.path.join(TOOLS, "clients", "flood.py"), "--interface", INTERFACE, "--mac",
            DIRECTOR.mac, "--source", CLIENT.ipv4, "--target", DIRECTOR.ipv4, "--rate", "30000", "--seconds", "2"])
        while flood.running():
            self.assert_all_answered(http_load(self.client, VIP4, 200, concurrency=8))


if __name__ == "__main__":
    unittest.main()
