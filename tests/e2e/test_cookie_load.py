#!/usr/bin/python3
"""Weights that follow the load that backends report, with cookies: who tells its health checks of more load gets fewer
of the new connections, by turns, and those that it has stay, because their cookies say so."""

import unittest

from cookie_case import COOKIE, CookieBackendsCase
from lab import config
from lab.clients.tools import HeldConnections
from lab.process import wait_until


class LoadTest(CookieBackendsCase):
    VERSIONS = (4, 6)
    BACKENDS = 2

    def test_weights_follow_load(self):
        services = self.services({1: 100, 2: 100}, consistency="cookie", cookie=COOKIE)
        for pool in services["pools"]:
            check = {"type": "http", "path": "/", "interval_ms": 300, "timeout_ms": 800}
            pool.update(policy="weighted-round-robin", weight_by_load=True, weight_floor_percent=50, health_check=check)
        self.start(services)
        held = [HeldConnections(self.client, vip, 20, name=f"held{version}") for version, vip in config.VIP.items()]
        for each in held:
            self.assertEqual([one["open"] for one in each.status()["by_backend"].values()], [10, 10])
        for pool in services["pools"]:
            pool["health_check"]["path"] = "/load"
        self.reload(self.director, services)

        def percents():
            return [self.backend_status(name, pool)["load_percent"] for name in ("backend-1", "backend-2")
                    for pool in config.POOL.values()]

        wait_until(lambda: percents() == [50, 50, 100, 100], 60, "the backend with more load has less weight")
        self.wait_for_workers()
        self.assert_all_speak(held)
        for each in held:
            shares = {name: one["open"] - 10 for name, one in each.open(30)["by_backend"].items()}
            self.assertEqual(sum(shares.values()), 30)
            self.assertAlmostEqual(shares["backend-1"], 10, delta=1)
        self.assert_all_speak(held)
        for each in held:
            self.assert_held(each.stop())
        # Nothing is at rest while there are checks.
        self.reload(self.director, self.services({1: 100, 2: 100}, consistency="cookie", cookie=COOKIE))


if __name__ == "__main__":
    unittest.main()
