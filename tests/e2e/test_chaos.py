#!/usr/bin/python3
"""Minutes of random changes under load: a reference model says after each what must be, and no connection breaks.

SLUICE_CHAOS_SECONDS says how long (default 300), SLUICE_CHAOS_SEED repeats a run.
"""

import os
import random
import time
import unittest

import yaml

from lab_case import LabCase
from lab import config
from lab.clients.tools import HeldConnections, http_load
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


if __name__ == "__main__":
    unittest.main()
