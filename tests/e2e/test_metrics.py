#!/usr/bin/python3
"""The metrics endpoint: it parses, and it says what sluicectl says."""

import unittest

from lab_case import LabCase
from lab import config
from lab.clients.tools import http_load


class MetricsTest(LabCase):
    def setUp(self):
        self.start(config.services({1: 100, 2: 300}))
        for version in (4, 6):
            self.assert_all_answered(http_load(self.client, config.VIP[version], 1000))
        # A dropped packet, so that there is a reason to compare.
        self.client.run(["curl", "-sS", "--max-time", "1", f"http://{config.VIP[4]}:81/"], check=False)

    def test_metrics_agree_with_sluicectl(self):
        self.director.totals_at_rest()
        totals, samples = self.director.totals_and_metrics()

        def total(name, **labels):
            values = [value for (sample, pairs), value in samples.items()
                      if sample == name and set(labels.items()) <= set(pairs)]
            self.assertTrue(values, f"no sample {name} {labels} among {sorted({key[0] for key in samples})}")
            return sum(values)

        for term in ("received", "from_host", "originated", "forwarded", "answered", "punted", "sent_for_host"):
            self.assertEqual(total(f"sluice_packets_{term}_total"), totals[term], term)
        for reason, count in totals["dropped_by_reason"].items():
            self.assertEqual(total("sluice_packets_dropped_total", reason=reason), count, reason)
        for pool in config.POOL.values():
            for name, status in self.director.backends(pool).items():
                self.assertEqual(total("sluice_backend_packets_total", pool=pool, backend=name), int(status["packets"]))


if __name__ == "__main__":
    unittest.main()
