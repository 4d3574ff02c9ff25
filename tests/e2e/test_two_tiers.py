#!/usr/bin/python3
"""Two tiers: a director spreads connections over two others by the tier-2 id in their cookies, while those are added,
drained and removed. The agents on backends put the id of the director that brought the SYN into the cookie."""

import os
import signal
import unittest

from cookie_case import SECRET, CookieBackendsCase, cookie, cookie_id
from two_directors_case import Clients
from lab import config
from lab.clients.tools import http_load
from lab.director import Director, number
from lab.lab import default_binaries
from lab.network import CLIENT, DIRECTOR_2, DIRECTOR_3, INTERFACE, endpoint
from lab.process import wait_until

CONNECTIONS = int(os.environ.get("SLUICE_CONNECTIONS", "100"))
# Two hours with 13 bits need 5 of the clock.
COOKIE = {"tier_bits": 2, "backend_bits": 8, "check_bits": 2, "idle_s": 7200}
LAYOUT = cookie.Layout(key=1, tier=2, backend=8, check=2, clock=5)
TIER_IDS = {DIRECTOR_2.role: 1, DIRECTOR_3.role: 3}


class TwoTiersTest(CookieBackendsCase):
    BACKENDS = 2
    VERSIONS = (4, 6)
    COOKIE = COOKIE
    DIRECTORS = tuple(host.address(version) for host in (DIRECTOR_2, DIRECTOR_3) for version in (4, 6))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.second = {}
        for host in (DIRECTOR_2, DIRECTOR_3):
            namespace = cls.lab.network.add_director(host)
            cls.second[host.role] = Director(cls.lab.run, namespace, default_binaries(), host)

    def start_second(self, host):
        director = self.second[host.role]
        services = self.services({1: 100, 2: 100}, consistency="cookie", cookie=COOKIE)
        director.start({"node": director.node(tier_id=TIER_IDS[host.role]), "services": services})
        self.addCleanup(self.finish_director, director)

    def first_tier(self, *hosts, drain=(), checked=False):
        """The services of tier 1, which sends to these directors. Nothing is at rest while it checks them."""
        services = {"seed": config.SEED, "pools": [], "vips": [],
                    "cookie_keys": [{"number": 0, "file": self.key_path}]}
        for version in self.VERSIONS:
            backends = [{"name": host.role, "address": host.address(version), "cookie_id": TIER_IDS[host.role],
                         "drain": host in drain} for host in hosts]
            pool = {"name": config.POOL[version], "backends": backends}
            if checked:
                pool["on_down"] = "reschedule"
                pool["health_check"] = {"type": "tcp", "interval_ms": 300, "timeout_ms": 300, "rise": 1, "fall": 2}
            services["pools"].append(pool)
            services["vips"].append({"name": f"http{version}", "address": config.VIP[version], "port": 80,
                                     "pool": config.POOL[version], "mode": "l2", "consistency": "cookie",
                                     "connection_tracking": "off", "cookie": {"tier": 1, **COOKIE}})
        return services

    def change(self, *hosts, **more):
        before = number(self.director.ctl("status"), "state_generation")
        self.director.reload({"node": self.director.node(), "services": self.first_tier(*hosts, **more)})
        wait_until(lambda: number(self.director.ctl("status"), "state_generation_in_use") > before, 20, "a new state")

    def wait_for_health(self, host, wanted):
        """Until tier 1's checks, which go through the director to a backend and back, say so of both its addresses."""
        def seen():
            return all(self.director.backends(config.POOL[version])[host.role]["health"] == wanted
                       for version in self.VERSIONS)

        wait_until(seen, 30, f"{host.role} is {wanted}", interval=0.05)

    def sent_to(self, host):
        """Packets that tier 1 gave this director since it knows it."""
        return {version: number(self.director.backends(config.POOL[version])[host.role], "packets")
                for version in self.VERSIONS}

    def new_connections(self):
        """What cookies of connections that begin now say: {version: {(client's port, TSval): tier}}."""
        path, process = self.capture(self.client, f"new-{len(os.listdir(self.lab.run.directory))}", INTERFACE)
        for version in self.VERSIONS:
            self.assert_all_answered(http_load(self.client, config.VIP[version], 20))
        process.send_signal(signal.SIGINT)
        process.wait(10)
        found = {version: {} for version in self.VERSIONS}
        for _, (source, target, sport, dport), _, flags, value, echo in self.on_the_wire(path):
            if sport != 80:
                self.assertTrue(flags & 0x12 != 0x02 or echo == 0, "the client's SYN is its own")
            elif flags & 0x12 == 0x12:
                said = cookie.decode(LAYOUT, SECRET, (target, source, dport, 80, 6), value % (1 << LAYOUT.bits))
                self.assertEqual((said[0], said[3]), (0, 0))
                self.assertIn(said[2], (cookie_id(1), cookie_id(2)))
                found[6 if ":" in source else 4][dport, value] = said[1]
        return found

    def test_directors_come_and_go(self):
        self.start_second(DIRECTOR_2)
        self.start(self.first_tier(DIRECTOR_2))
        clients = Clients(self.client, CONNECTIONS)
        clients.speak_on()
        # One more: connections stay where they are, and of new ones each gets some.
        self.start_second(DIRECTOR_3)
        self.change(DIRECTOR_2, DIRECTOR_3, checked=True)
        for host in (DIRECTOR_2, DIRECTOR_3):
            self.wait_for_health(host, "BACKEND_HEALTH_UP")
        self.change(DIRECTOR_2, DIRECTOR_3)
        clients.speak_on()
        for tiers in self.new_connections().values():
            self.assertEqual(set(tiers.values()), {1, 3})
        # One drains: nothing new, and what it had.
        self.change(DIRECTOR_2, DIRECTOR_3, drain=[DIRECTOR_2])
        for version, tiers in self.new_connections().items():
            self.assertEqual(set(tiers.values()), {3})
            (port, stamp), *_ = tiers
            answer = self.director.ctl("explain", "tcp", endpoint(CLIENT.address(version), port),
                                       endpoint(config.VIP[version], 80), "--ecr", str(stamp))
            self.assertEqual((answer["rung"], answer["cookie_backend"]), ("cookie", DIRECTOR_3.role))
        before = self.sent_to(DIRECTOR_2)
        clients.speak_on()
        for version, packets in self.sent_to(DIRECTOR_2).items():
            self.assertGreater(packets, before[version] + CONNECTIONS)
        # It is gone: the other one takes its connections over, and it may end.
        self.change(DIRECTOR_3)
        clients.speak_on()
        self.finish_director(self.second[DIRECTOR_2.role])
        clients.speak_on()
        for tiers in self.new_connections().values():
            self.assertEqual(set(tiers.values()), {3})
        # It comes back, with nothing but its id: its old connections are its own again.
        self.start_second(DIRECTOR_2)
        # Directors end at rest: without clients, and without checks.
        self.addCleanup(self.change, DIRECTOR_2)
        self.addCleanup(self.client.end_processes)
        self.change(DIRECTOR_2, DIRECTOR_3, checked=True)
        clients.speak_on()
        for version, packets in self.sent_to(DIRECTOR_2).items():
            self.assertGreater(packets, CONNECTIONS, version)
        # The other one dies, and nobody says so but the checks.
        self.wait_for_health(DIRECTOR_2, "BACKEND_HEALTH_UP")
        self.second[DIRECTOR_3.role].kill()
        self.wait_for_health(DIRECTOR_3, "BACKEND_HEALTH_DOWN")
        clients.speak_on()
        self.assertEqual(self.director.ctl("status")["cookie_keys_digest"],
                         self.second[DIRECTOR_2.role].ctl("status")["cookie_keys_digest"])
        sums = clients.stop()
        print(f"two tiers: {sums[True]['connections']} connections with timestamps, {len(sums[True]['failures'])} "
              f"broken; {sums[False]['connections']} without, {len(sums[False]['failures'])} broken")
        self.assertEqual(sums[True]["failures"], [])
        for version in self.VERSIONS:
            for host in (DIRECTOR_2, DIRECTOR_3):
                self.assertEqual(self.director.flows_alive(config.POOL[version], host.role), 0, "tier 1 keeps no state")


if __name__ == "__main__":
    unittest.main()
