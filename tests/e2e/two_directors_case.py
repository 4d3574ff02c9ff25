"""Two directors behind a router whose kernel spreads connections over them (ECMP), and clients that speak on while
backends come and go and a director is killed and starts again."""

import copy
import json
import math
import os

from cookie_case import CookieBackendsCase
from lab import config
from lab.clients.tools import HeldConnections
from lab.director import Director
from lab.lab import default_binaries
from lab.network import CLIENT, DIRECTOR, DIRECTOR_2, endpoint
from lab.process import run, wait_until

CONNECTIONS = int(os.environ.get("SLUICE_CONNECTIONS", "200"))
WITHOUT_TIMESTAMPS = 0.1
# What happens to them, in sluice-sim's words: a backend is added, a director is killed and started again, a backend
# drained.
PLAN = "s-4,open,s+4,d-2,d+2,s-3"


class Clients:
    """Connections to the VIPs of both families, of which a tenth have no TCP timestamps."""

    def __init__(self, client, count):
        self._held = {}
        try:
            for timestamps, share in ((True, 1 - WITHOUT_TIMESTAMPS), (False, WITHOUT_TIMESTAMPS)):
                client.sysctl(net__ipv4__tcp_timestamps=int(timestamps))
                for version, vip in config.VIP.items():
                    name = f"held{version}-{'with' if timestamps else 'without'}-timestamps"
                    self._held[timestamps, version] = HeldConnections(
                        client, vip, round(count * share / len(config.VIP)), name=name, interval=max(0.2, count / 1000))
        finally:
            client.sysctl(net__ipv4__tcp_timestamps=1)

    def speak_on(self):
        """Until every connection that lives has had some requests more."""
        before = {held: held.status() for held in self._held.values()}

        def spoke():
            return all(now["requests"] >= before[held]["requests"] + 3 * min(before[held]["open"], now["open"])
                       for held, now in ((held, held.status()) for held in before))

        wait_until(spoke, 120, "connections speak on")

    def without_timestamps(self):
        """What has become of each one, by its client's and its VIP's address and port as `sluicectl explain` takes
        them."""
        return {(endpoint(CLIENT.address(version), each["port"]), endpoint(vip, 80)): each
                for version, vip in config.VIP.items() for each in self._held[False, version].connections()}

    def close(self, backend):
        for held in self._held.values():
            held.close(backend)

    def broken(self):
        """By whether they have timestamps: how many there are, and what broke some."""
        return self._sum(held.status for held in self._held.values())

    def stop(self):
        return self._sum(held.stop for held in self._held.values())

    def _sum(self, asked):
        sums = {timestamps: {"connections": 0, "failures": []} for timestamps in (True, False)}
        for (timestamps, version), ask in zip(self._held, list(asked)):
            status = ask()
            sums[timestamps]["connections"] += status["connections"]
            sums[timestamps]["failures"] += [f"IPv{version}: {failure}" for failure in status["failures"]]
        return sums


class TwoDirectorsCase(CookieBackendsCase):
    VERSIONS = (4, 6)
    DIRECTORS = (DIRECTOR_2.ipv4, DIRECTOR_2.ipv6)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.second = Director(cls.lab.run, cls.lab.network.add_director(DIRECTOR_2), default_binaries(), DIRECTOR_2)

    def start_both(self, services):
        self.start(copy.deepcopy(services))
        self.addCleanup(self.finish_director, self.second)
        self.start_second(services)
        self.addCleanup(self.lab.network.route_over, DIRECTOR)
        self.lab.network.route_over(DIRECTOR, DIRECTOR_2)

    def start_second(self, services):
        self.second.start({"node": self.second.node(), "services": services})

    def reload_both(self, services):
        for director in (self.director, self.second):
            self.reload(director, services)

    def follow_plan(self, **vip):
        """Clients that went through PLAN, and the changed services."""
        route_over = self.lab.network.route_over
        self.start_both(self.services({1: 100, 2: 100, 3: 100}, **vip))
        clients = Clients(self.client, CONNECTIONS)
        clients.speak_on()
        services = self.services({1: 100, 2: 100, 3: 100, 4: 100}, **vip)
        self.reload_both(services)
        clients.speak_on()
        if vip["consistency"] == "cookie":
            self.endangered = self.known_to_the_second_alone(clients)
        # Its connections are the other one's now. Then it comes back and knows nothing.
        self.second.kill()
        route_over(DIRECTOR)
        clients.speak_on()
        self.start_second(services)
        route_over(DIRECTOR, DIRECTOR_2)
        clients.speak_on()
        for pool in services["pools"]:
            pool["backends"][2]["drain"] = True
        self.reload_both(services)
        clients.speak_on()
        return clients

    def known_to_the_second_alone(self, clients):
        """The connections without timestamps whose slot is another backend's by now: without the second director
        nothing else tells whose they are, and whatever breaks one more is a defect."""
        endangered = set()
        for flow, connection in clients.without_timestamps().items():
            first, second = (director.ctl("explain", "tcp", *flow) for director in (self.director, self.second))
            self.assertEqual([answer["entry"]["backend"] for answer in (first, second) if "entry" in answer],
                             [connection["backend"]], "one director knows a connection")
            if "entry" in second and first["slot_backend"] != connection["backend"]:
                endangered.add(flow)
        return endangered

    def predicted(self, mode):
        """By whether they have timestamps: the share of connections that sluice-sim says PLAN breaks."""
        command = [self.director.binary("sluice-sim"), "--servers", "4", "--directors", "2", "--connections", "40000",
                   "--no-timestamps", str(WITHOUT_TIMESTAMPS), "--changes", PLAN, "--modes", mode, "--json"]
        answer = json.loads(run(command, timeout=120).stdout)
        outcome, = (one for one in answer["outcomes"] if "broken_up_or_draining" in one)
        without = answer["without_timestamps"]
        of_kind = {True: ("with_timestamps", answer["connections"] - without), False: ("without_timestamps", without)}
        return {kind: sum(outcome["broken_up_or_draining"][key].values()) / all_of_kind
                for kind, (key, all_of_kind) in of_kind.items()}

    @staticmethod
    def limits(count, share):
        """How many of `count` break at least and at most, if each does with this chance; one run in a million aside."""
        deviation = 5 * math.sqrt(count * share * (1 - share)) + 1
        return max(0, count * share - deviation), count * share + deviation

    def assert_as_predicted(self, mode, broken):
        """Prints what broke beside the prediction, and compares both."""
        predicted = self.predicted(mode)
        for timestamps, sums in broken.items():
            count, failures = sums["connections"], sums["failures"]
            print(f"{mode}: {count} connections {'with' if timestamps else 'without'} timestamps, {len(failures)} "
                  f"broken, {count * predicted[timestamps]:.1f} predicted")
            least, most = self.limits(count, predicted[timestamps])
            self.assertLessEqual(len(failures), most if predicted[timestamps] > 0 else 0, failures[:20])
            self.assertGreaterEqual(len(failures), least)
