#!/usr/bin/python3
"""Minutes of random changes under load: a reference model says after each what must be, and no connection breaks but
those whose server was killed.

SLUICE_CHAOS_SECONDS says how long (default 300), SLUICE_CHAOS_SEED repeats a run.
"""

import os
import random
import signal
import time
import unittest

import yaml

from cookie_case import COOKIE, CookieBackendsCase
from lab_case import LabCase
from lab import config
from lab.clients.tools import HeldConnections, Wrk, http_load
from lab.director import number
from lab.network import VIP4
from lab.process import wait_until

SECONDS = int(os.environ.get("SLUICE_CHAOS_SECONDS", "300"))
SEED = int(os.environ.get("SLUICE_CHAOS_SEED", str(random.randrange(1 << 32))))
POOL = config.POOL[4]
FIRST = 1  # this backend stays active, so that there is always one


class ChaosTest(LabCase):
    def setUp(self):
        self.random = random.Random(SEED)
        # index -> [weight, draining]: what the operator wants.
        self.model = {index: [100, False] for index in (1, 2, 3, 4)}
        self.start(self.services(), workers=2)

    def services(self):
        weights = {index: weight for index, (weight, _) in sorted(self.model.items())}
        return config.services(weights, versions=(4,), udp=False)

    def name(self, index):
        return f"backend-{index}"

    # ---- the changes

    def drain(self, index):
        self.director.ctl("backend", "drain", POOL, self.name(index))
        self.model[index][1] = True

    def undrain(self, index):
        self.director.ctl("backend", "undrain", POOL, self.name(index))
        self.model[index][1] = False

    def remove(self, index):
        """Only what nobody uses any more: the rules let a removal break connections."""
        if not self.model[index][1] or self.director.flows_alive(POOL, self.name(index)) > 0:
            return
        self.director.ctl("backend", "remove", POOL, self.name(index))
        del self.model[index]

    def add(self):
        missing = [index for index in (2, 3, 4) if index not in self.model]
        if missing:
            index = self.random.choice(missing)
            weight = self.random.choice((50, 100, 300))
            backend = config.backend(index, weight=weight)
            self.director.ctl("backend", "add", POOL, backend["name"], backend["address"], "--weight", str(weight))
            self.model[index] = [weight, False]

    def reweight(self, index):
        self.model[index][0] = self.random.choice((1, 50, 100, 300))
        path = os.path.join(self.lab.run.directory, "services.yaml")
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump({"services": self.services()}, file, sort_keys=False)
        self.director.ctl("apply", "-f", path)

    def reload(self, good):
        services = self.services()
        if not good:
            services["vips"][0]["port"] = 0
        self.director.reload({"node": self.director.node(workers=2), "services": services})

    def change(self):
        index = self.random.choice([i for i in self.model if i != FIRST] or [FIRST])
        kinds = [self.add, lambda: self.reweight(index), lambda: self.reload(True), lambda: self.reload(False)]
        if index != FIRST:
            kinds += [lambda: self.drain(index), lambda: self.undrain(index), lambda: self.remove(index)]
        self.random.choice(kinds)()

    # ---- what must be

    def check_model(self):
        def as_wanted():
            found = {name: (int(status["backend"]["weight"]), status["lifecycle"].endswith("DRAINING"))
                     for name, status in self.director.backends(POOL).items()}
            return found == {self.name(index): tuple(state) for index, state in self.model.items()}

        # A reload is taken up a moment after its signal.
        wait_until(as_wanted, 10, f"sluiced has what the model says: {self.model}")

    def test_random_changes(self):
        print(f"SLUICE_CHAOS_SEED={SEED} SLUICE_CHAOS_SECONDS={SECONDS}", flush=True)
        held = HeldConnections(self.client, VIP4, 60)
        end = time.monotonic() + SECONDS
        changes = 0
        while time.monotonic() < end:
            self.change()
            changes += 1
            self.check_model()
            report = http_load(self.client, VIP4, 200)
            self.assert_all_answered(report)
            wanted = {self.name(index) for index, (_, draining) in self.model.items() if not draining}
            self.assertLessEqual(set(report["by_backend"]), wanted, "a new connection on a draining backend")
            self.assert_held(held.status())
        status = held.stop()
        self.assert_held(status)
        workers = self.director.ctl("get", "workers")["workers"]
        self.assertEqual([number(worker["table_v4"], "insert_full") for worker in workers], [0, 0])
        print(f"{changes} changes, {status['requests']} requests on held connections", flush=True)


class ChaosWithKillsTest(CookieBackendsCase):
    """The state is the API's, and kept; sluiced is killed, and servers are. Connections have cookies, so that they
    outlast a director that has forgotten all of them, whatever has become of the backends meanwhile."""

    def setUp(self):
        self.random = random.Random(SEED)
        self.model = {index: [100, False] for index in (1, 2, 3, 4)}
        self.versions = []  # the model after each change, by the version of the state
        self.excused = 0  # connections whose server was killed
        self.start_configuration(self.configuration())
        self.note_version()

    def configuration(self):
        node = self.director.node(workers=2)
        node.update(management="api", state_directory=os.path.join(self.lab.run.directory, "state"))
        return {"node": node, "services": self.wanted()}

    def wanted(self):
        weights = {index: weight for index, (weight, _) in sorted(self.model.items())}
        return self.services(weights, consistency="cookie", cookie=COOKIE)

    def apply(self):
        path = os.path.join(self.lab.run.directory, "services.yaml")
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump({"services": self.wanted()}, file, sort_keys=False)
        self.director.ctl("apply", "-f", path)

    def note_version(self):
        version = number(self.director.ctl("status"), "desired_version")
        model = {index: list(state) for index, state in self.model.items()}
        if not self.versions or self.versions[-1][0] != version:
            self.versions.append((version, model))

    # ---- the changes

    def drain(self, index):
        self.director.ctl("backend", "drain", POOL, f"backend-{index}")
        self.model[index][1] = True

    def undrain(self, index):
        self.director.ctl("backend", "undrain", POOL, f"backend-{index}")
        self.model[index][1] = False

    def reweight(self, index):
        self.model[index][0] = self.random.choice((1, 50, 100, 300))
        self.apply()

    def remove(self, index):
        """Once its connections have ended in good order."""
        if not self.model[index][1]:
            self.drain(index)
        self.held.close(f"backend-{index}")
        self.director.ctl("backend", "remove", POOL, f"backend-{index}")
        del self.model[index]

    def add(self):
        missing = [index for index in (2, 3, 4) if index not in self.model]
        if missing:
            self.model[self.random.choice(missing)] = [self.random.choice((50, 100, 300)), False]
            self.apply()

    def rollback(self):
        """To a state that takes no backend away, whose connections would break. Drains of operators stay."""
        for version, model in self.random.sample(self.versions, len(self.versions)):
            if set(self.model) <= set(model):
                self.director.ctl("rollback", str(version))
                self.model = {index: [weight, self.model.get(index, (0, False))[1]]
                              for index, (weight, _) in model.items()}
                return

    def kill_server(self, index):
        """Its connections break and no others; the operator had drained it, so that new ones do not meet it."""
        name = f"backend-{index}"
        if not self.model[index][1]:
            self.drain(index)
        self.lab.backends.nginx.pop(name).kill()
        wait_until(lambda: self.held.status()["by_backend"].get(name, {"open": 0})["open"] == 0, 60,
                   "its connections have ended")
        failures = self.held.status()["failures"]
        self.assertEqual([text for text in failures[self.excused:] if f"connection to {name} " not in text], [])
        self.excused = len(failures)
        self.lab.backends.start_nginx()

    def kill_sluiced(self):
        self.director.process.send_signal(signal.SIGKILL)
        self.director.process.wait(10)
        self.director.start(self.configuration())  # the store has the state, whatever the file says

    def reload(self):
        generation = number(self.director.ctl("status"), "state_generation")
        self.director.reload({**self.configuration(), "services": config.services({1: 7}, versions=(4,), udp=False)})
        self.assertGreaterEqual(number(self.director.ctl("status"), "state_generation"), generation)

    def change(self):
        index = self.random.choice([i for i in self.model if i != FIRST] or [FIRST])
        kinds = [self.add, self.rollback, self.reload, self.kill_sluiced, lambda: self.reweight(index)]
        if index != FIRST:
            kinds += [lambda: self.drain(index), lambda: self.undrain(index), lambda: self.remove(index),
                      lambda: self.kill_server(index)]
        kind = self.random.choice(kinds)
        if kind in (self.kill_sluiced, self.rollback, self.add, self.reload):
            # Nothing that ends a connection: not one of the load's may break either.
            wrk = Wrk(self.client, VIP4, 4, connections=8)
            kind()
            report = wrk.finish()
            self.assertEqual(report["failed"], 0, report["text"])
            self.assertGreater(report["requests"], 0)
        else:
            kind()

    # ---- what must be

    def check(self):
        found = {name: (int(status["backend"]["weight"]), status["lifecycle"].endswith("DRAINING"))
                 for name, status in self.director.backends(POOL).items()}
        self.assertEqual(found, {f"backend-{index}": tuple(state) for index, state in self.model.items()})
        self.note_version()
        report = http_load(self.client, VIP4, 200)
        self.assert_all_answered(report)
        wanted = {f"backend-{index}" for index, (_, draining) in self.model.items() if not draining}
        self.assertLessEqual(set(report["by_backend"]), wanted, "a new connection on a draining backend")
        self.assertEqual(self.held.status()["failures"][self.excused:], [])
        if self.held.status()["open"] < 40:
            self.held.open(20)

    def test_random_changes_and_kills(self):
        print(f"SLUICE_CHAOS_SEED={SEED} SLUICE_CHAOS_SECONDS={SECONDS}", flush=True)
        self.held = HeldConnections(self.client, VIP4, 60)
        end = time.monotonic() + SECONDS
        changes = 0
        while time.monotonic() < end:
            self.change()
            changes += 1
            self.check()
        status = self.held.stop()
        self.assertEqual(status["failures"][self.excused:], [])
        print(f"{changes} changes, {status['requests']} requests on held connections, {self.excused} connections lost "
              "their server", flush=True)


if __name__ == "__main__":
    unittest.main()
