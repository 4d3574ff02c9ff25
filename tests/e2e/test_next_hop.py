#!/usr/bin/python3
"""A backend that cannot be reached yet: its packets are counted, and it serves as soon as it is there."""

import unittest

from lab_case import LabCase
from lab import config
from lab.clients.tools import http_load
from lab.network import ABSENT, VIP4
from lab.process import wait_until


class NextHopTest(LabCase):
    BACKENDS = 1

    def test_an_absent_backend_is_counted_and_found_later(self):
        services = config.services({1: 100}, versions=(4,), udp=False)
        services["pools"][0]["backends"] = [{"name": ABSENT.role, "address": ABSENT.ipv4}]
        self.start(services)
        with self.client.socket() as connection:
            connection.settimeout(1.5)
            with self.assertRaises(OSError):
                connection.connect((VIP4, 80))
        self.assertGreater(self.director.totals_at_rest()["dropped_by_reason"].get("next_hop_unresolved", 0), 0)
        self.assertFalse(self.backend_status(ABSENT.role)["next_hop"].get("resolved", False))

        self.lab.network.add_backend(ABSENT)
        self.lab.backends.start_nginx()

        def served():
            return http_load(self.client, VIP4, 1)["by_backend"] == {ABSENT.role: 1}

        wait_until(served, 40, "the backend that has appeared serves, without a restart of sluiced")
        status = self.backend_status(ABSENT.role)["next_hop"]
        self.assertTrue(status["resolved"])
        self.assertEqual(status["mac"], ABSENT.mac)
        self.assert_all_answered(http_load(self.client, VIP4, 300))


if __name__ == "__main__":
    unittest.main()
