#!/usr/bin/python3
"""Two workers on one interface: flows are shared evenly and none is seen by both."""

import unittest

from lab_case import LabCase
from lab import config
from lab.clients.tools import HeldConnections, http_load
from lab.director import number
from lab.network import VIP4, VIP6

FLOWS = 1200


class TwoWorkersTest(LabCase):
    def setUp(self):
        self.start(config.services({1: 100, 2: 100, 3: 100, 4: 100}, udp=False), workers=2)

    def workers(self):
        workers = self.director.ctl("get", "workers")["workers"]
        self.assertEqual(len(workers), 2)
        return workers

    def assert_shared(self, table, flows):
        inserted = [number(worker[table], "inserted") for worker in self.workers()]
        # A worker that sees a packet of a flow it does not know enters the flow: one seen by both would count twice.
        self.assertEqual(sum(inserted), flows, "each flow is entered once, by one worker")
        for count in inserted:
            self.assertGreaterEqual(count, 0.3 * flows, f"flows by worker: {inserted}")

    def test_flows_are_shared(self):
        for vip, table in ((VIP4, "table_v4"), (VIP6, "table_v6")):
            with self.subTest(vip=vip):
                held = HeldConnections(self.client, vip, FLOWS, name=f"held-{table}", interval=1.0)
                before = held.status()["requests"]
                self.assert_shared(table, FLOWS)
                while held.status()["requests"] < before + 3 * FLOWS:
                    self.assert_held(held.status())
                self.assert_shared(table, FLOWS)  # several packets of each flow later, still the same
                self.assert_held(held.stop())
                self.assert_shared(table, FLOWS)  # and after the last FIN

    def test_short_connections(self):
        report = http_load(self.client, VIP4, 5000)
        self.assert_all_answered(report)
        self.assert_shares(report["by_backend"], {1: 1, 2: 1, 3: 1, 4: 1}, points=4)


if __name__ == "__main__":
    unittest.main()
