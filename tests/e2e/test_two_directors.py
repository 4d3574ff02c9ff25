#!/usr/bin/python3
"""Two directors behind a kernel that spreads connections over them (ECMP), while backends come and go and a director is
killed and starts again. Connections with cookies do not notice; without cookies many break."""

import copy
import os
import re
import unittest

from cookie_case import COOKIE, CookieBackendsCase
from lab import config
from lab.clients.tools import HeldConnections
from lab.director import Director, entered, left, number
from lab.lab import default_binaries
from lab.network import DIRECTOR, DIRECTOR_2, INTERFACE, VIP4
from lab.process import wait_until

CONNECTIONS = int(os.environ.get("SLUICE_CONNECTIONS", "200"))


class TwoDirectorsCase(CookieBackendsCase):
    DIRECTORS = (DIRECTOR_2.ipv4,)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.second = Director(cls.lab.run, cls.lab.network.add_director(DIRECTOR_2), default_binaries(), DIRECTOR_2)

    def start_both(self, services):
        self.start(copy.deepcopy(services))
        self.addCleanup(self.finish_second)
        self.start_second(services)

    def start_second(self, services):
        self.second.start({"node": self.second.node(), "services": services})

    def finish_second(self):
        if self.second.process is None:
            return
        try:
            totals = self.second.totals_at_rest()
            self.assertEqual(entered(totals), left(totals))
        finally:
            self.second.kill()

    def reload_both(self, services):
        for director in (self.director, self.second):
            before = number(director.ctl("status"), "state_generation")
            director.reload({"node": director.node(), "services": services})
            wait_until(lambda: number(director.ctl("status"), "state_generation_in_use") > before, 20, "a new state")

    def change_everything(self, vip):
        """Connections through all that a day can bring; what became of them."""
        route_over = self.lab.network.route_over
        self.addCleanup(self.lab.network.route_over, DIRECTOR)
        self.start_both(self.services({1: 100, 2: 100, 3: 100}, **vip))
        route_over(DIRECTOR, DIRECTOR_2)
        held = HeldConnections(self.client, VIP4, CONNECTIONS)
        self.speak_on(held)
        # A backend more, another weight: half of the hash changes.
        changed = self.services({1: 20, 2: 100, 3: 100, 4: 300}, **vip)
        self.reload_both(changed)
        self.speak_on(held)
        # A director dies, the other one has all connections, then it comes back and knows nothing.
        self.second.kill()
        route_over(DIRECTOR)
        self.speak_on(held)
        self.start_second(changed)
        route_over(DIRECTOR_2)
        self.speak_on(held)
        route_over(DIRECTOR, DIRECTOR_2)
        self.speak_on(held)
        return held

    @staticmethod
    def speak_on(held):
        """Until every connection that lives has had some requests more."""
        status = held.status()
        enough = status["requests"] + 3 * status["open"]

        def spoke():
            now = held.status()
            return now["requests"] >= min(enough, status["requests"] + 3 * now["open"])

        wait_until(spoke, 60, "connections speak on")


class CookieTest(TwoDirectorsCase):
    def services(self, weights, **vip):
        # Neither director knows whom the other one's connections went to, nor would the hash tell.
        services = super().services(weights, **vip)
        services["pools"][0]["policy"] = "power-of-two"
        return services

    def test_nothing_breaks(self):
        vip = {"consistency": "cookie", "cookie": COOKIE}
        held = self.change_everything(vip)
        digests = [{key: director.ctl("status")[key] for key in ("cookie_ids_digest", "cookie_keys_digest")}
                   for director in (self.director, self.second)]
        self.assertEqual(digests[0], digests[1])
        # Drained and gone: its connections end first, those of the others stay.
        rest = self.services({1: 20, 2: 100, 4: 300}, **vip)
        held.close("backend-3")
        self.reload_both(rest)
        self.speak_on(held)
        # Nothing is remembered of connections with cookies.
        for director in (self.director, self.second):
            self.assertEqual(director.flows_alive(config.POOL[4], "backend-1"), 0)
        status = held.stop()
        self.assert_held(status)
        print(f"cookie: {status['connections']} connections, {len(status['failures'])} broken")


    def test_explain_says_whom_a_cookie_names(self):
        self.start(self.services({1: 100, 2: 100, 3: 100}, consistency="cookie", cookie=COOKIE))
        with self.client.socket() as connection:
            connection.settimeout(10)
            connection.connect((VIP4, 80))
            host, port = connection.getsockname()
            sniffer = self.client.start("tcpdump-echo", ["tcpdump", "-l", "-n", "-i", INTERFACE, "-c", "1",
                                                         f"tcp src port {port} and tcp[tcpflags] & tcp-push != 0"])
            wait_until(lambda: "listening" in sniffer.log(), 10, "tcpdump listens")
            connection.sendall(b"GET / HTTP/1.1\r\nHost: vip\r\n\r\n")
            backend = re.search(r"\r\nX-Backend: (\S+)", connection.recv(4096).decode())[1]
            sniffer.wait(20)
            echo = re.search(r" ecr (\d+)", sniffer.log())[1]
            question = ("explain", "tcp", f"{host}:{port}", f"{VIP4}:80", "--ecr", echo)
            self.director.ctl("backend", "drain", config.POOL[4], backend)
            answer = self.director.ctl(*question)
            found = (answer["rung"], answer["backend"], answer["cookie_backend"])
            self.assertEqual(found, ("cookie", backend, backend))
            self.assertNotEqual(answer["slot_backend"], backend)
        self.director.ctl("backend", "remove", config.POOL[4], backend)
        answer = self.director.ctl(*question)
        self.assertEqual((answer["rung"], answer["cookie_backend"]), ("hash_only", ""))
        self.assertIn("names nobody of the pool", self.director.ctl_text(*question))


class HashTest(TwoDirectorsCase):
    def test_many_break(self):
        held = self.change_everything({"consistency": "hash"})
        status = held.stop()
        print(f"hash: {status['connections']} connections, {len(status['failures'])} broken")
        self.assertGreater(len(status["failures"]), CONNECTIONS // 10)


if __name__ == "__main__":
    unittest.main()
