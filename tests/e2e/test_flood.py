#!/usr/bin/python3
"""Floods of spoofed packets to VIPs: connections that live neither move nor break, new ones are served, and the host's
kernel stays reachable."""

import os
import subprocess
import unittest

from lab_case import LabCase
from lab import config
from lab.backends import HTTP_PORT, UDP_PORT
from lab.clients.tools import HeldConnections, http_load, ping_until_answered, stop_flood
from lab.network import DIRECTOR, INTERFACE, VIP4, VIP6, backend_host
from lab.process import wait_until

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "lab")
HELD = 150  # connections of each IP version
SPOOFED = 20 * HELD  # flows of each flood
TABLE = 2048  # entries of each table: fewer than the flood has flows


class FloodTest(LabCase):
    UDP = True

    def setUp(self):
        self.start(config.services({1: 100, 2: 100, 3: 100}),
                   tables={"connections_v4": TABLE, "connections_v6": TABLE})

    def flood(self, target, protocol, port, rate=40000, seconds=300):
        return self.client.start(f"flood-{protocol}-{port}-{'6' if ':' in target else '4'}", [
            "/usr/bin/python3", os.path.join(TOOLS, "clients", "flood.py"), "--interface", INTERFACE, "--mac",
            DIRECTOR.mac, "--target", target, "--port", str(port), "--protocol", protocol, "--frames", str(SPOOFED),
            "--rate", str(rate), "--seconds", str(seconds)], stdout=subprocess.PIPE)

    def sample(self, name, **labels):
        return sum(value for (metric, pairs), value in self.director.metrics().items()
                   if metric == name and labels.items() <= dict(pairs).items())

    def test_no_established_connection_moves_under_floods_of_new_ones(self):
        held = [HeldConnections(self.client, VIP4, HELD, name="held4"),
                HeldConnections(self.client, VIP6, HELD, name="held6")]
        for connections in held:
            self.assert_held(connections.status())
        for target, protocol, port, version in ((VIP4, "tcp", HTTP_PORT, 4), (VIP6, "tcp", HTTP_PORT, 6),
                                                (VIP4, "udp", UDP_PORT, 4), (VIP6, "udp", UDP_PORT, 6)):
            with self.subTest(target=target, protocol=protocol):
                received = self.director.totals()["received"]
                flood = self.flood(target, protocol, port)
                wait_until(lambda base=received: self.director.totals()["received"] > base + 2 * SPOOFED, 10,
                           "the flood has begun")
                # The pool changes while the tables are full of what the flood left: who is not in a table, moves.
                pool = config.POOL[version]
                if protocol == "tcp":
                    self.director.ctl("backend", "add", pool, "backend-4", backend_host(4).address(version))
                else:
                    self.director.ctl("backend", "undrain", pool, "backend-4")
                self.wait_for_workers()
                self.assert_all_answered(http_load(self.client, target, 50))
                # The host is there, and so are its neighbours, which it looks for anew.
                for side in (self.client, self.director.namespace):
                    side.ip("neigh flush all")
                ping_until_answered(self.client, DIRECTOR.address(version), 3)
                self.assertTrue(flood.running())
                report = stop_flood(flood)
                self.director.ctl("backend", "drain", pool, "backend-4")
                for connections in held:
                    self.assert_speaks(connections)
                full = self.sample("sluice_connection_table_unconfirmed_full_total")
                print(f"\n{protocol} flood of {report['sent']} packets of {SPOOFED} spoofed flows to {target}: "
                      f"{HELD} + {HELD} connections held, {int(full)} flows left to the hash so far", flush=True)
                self.assertGreater(report["sent"], 10 * HELD)

    def assert_speaks(self, held):
        before = held.status()
        self.assert_held(before)
        self.assertEqual(before["open"], HELD)

        def spoke():
            now = held.status()
            self.assert_held(now)
            return now["requests"] >= before["requests"] + 2 * HELD

        wait_until(spoke, 30, "two more answers for each held connection")

    def test_overload_is_counted_and_the_host_answers(self):
        """As much as the lab can send: forwarding goes on, every packet received is accounted for, the host answers.
        An echo request that the device's ring has no room for is lost as any packet is, so not each one is answered."""
        floods = [self.flood(VIP4, "udp", UDP_PORT, rate=1_000_000), self.flood(VIP6, "tcp", HTTP_PORT, rate=1_000_000)]
        wait_until(lambda: self.director.totals()["received"] > 20000, 10, "the flood has begun")
        pinged = 0
        for _ in range(3):
            before = self.director.totals()["forwarded"]
            pinged += ping_until_answered(self.client, DIRECTOR.ipv4, 2)
            wait_until(lambda base=before: self.director.totals()["forwarded"] > base + 20000, 60, "packets go on")
        self.assertTrue(all(flood.running() for flood in floods))
        sent = sum(stop_flood(flood)["sent"] for flood in floods)
        totals = self.director.totals_at_rest()
        missed = self.sample("sluice_port_rx_missed_total")
        # What the switch's kernel lost on the way cannot be known here.
        print(f"\noffered {sent} packets, received {totals['received']}, missed {int(missed)}, "
              f"forwarded {totals['forwarded']}; 6 of {pinged} pings answered", flush=True)


if __name__ == "__main__":
    unittest.main()
