#!/usr/bin/python3
"""Traffic in L2 mode: every request answered, shares by weight, long downloads intact."""

import unittest

from lab_case import LabCase, iperf_vip
from lab import config
from lab.clients.tools import Downloads, http_load


class ForwardingTest(LabCase):
    def test_requests_are_spread_by_weight(self):
        weights = {1: 100, 2: 200, 3: 300, 4: 0}
        self.start(config.services(weights))
        for version in (4, 6):
            with self.subTest(ip=version):
                report = http_load(self.client, config.VIP[version], 6000)
                self.assert_all_answered(report)
                self.assertEqual(report["ok"], 6000)
                # Five standard deviations of the largest share at 6000 requests, and Maglev's own unevenness.
                self.assert_shares(report["by_backend"], weights, points=4)
                self.assertNotIn("backend-4", report["by_backend"], "weight 0 means no new connections")

    def test_transfers_arrive_whole(self):
        self.start(config.services({1: 100, 2: 100}))
        for version in (4, 6):
            with self.subTest(ip=version):
                downloads = Downloads(self.client, config.VIP[version], 6, name=f"download{version}")
                self.assert_downloads(downloads.finish())
                self.assert_upload(version, f"l2-{version}")

    def test_each_new_flow_is_counted_once(self):
        self.start(config.services({1: 100, 2: 100}))
        self.assert_all_answered(http_load(self.client, config.VIP[4], 2000))
        backends = self.director.backends(config.POOL[4])
        self.assertEqual(sum(int(status["flows_started"]) for status in backends.values()), 2000)
        vips = {status["vip"]["name"]: status for status in self.director.ctl("get", "vips")["vips"]}
        self.assertEqual(int(vips["http4"]["new_flows"]), 2000)

    def test_iperf3(self):
        """Of the streams the one towards the backend passes the director."""
        services = config.services({1: 100}, versions=(4, 6), udp=False)
        services["vips"] += [iperf_vip(version) for version in (4, 6)]
        self.start(services)
        self.check_iperf3("l2")

    def test_packets_to_other_ports_of_a_vip_are_dropped_with_their_reason(self):
        self.start(config.services({1: 100}))
        self.client.run(["curl", "-sS", "--max-time", "1", f"http://{config.VIP[4]}:81/"], check=False)
        self.assertGreater(self.director.totals_at_rest()["dropped_by_reason"].get("vip_no_service", 0), 0)


if __name__ == "__main__":
    unittest.main()
