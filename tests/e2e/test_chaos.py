#!/usr/bin/python3
"""Minutes of random changes under load: a reference model says after each what must be, and no connection breaks but
those whose server was killed.

SLUICE_CHAOS_SECONDS says how long each of the two tests goes on, SLUICE_CHAOS_SEED repeats a run. The default, 300,
makes ten minutes of both; the short form beside the other tests is there to notice that something has broken, and what
wants rare coincidences is left to the long one.
"""

import collections
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
        self.model = {index: [100, False] for index in (1, 2, 3, 4)}  # weight, draining
        self.down = set()  # reported as down: health is nobody's wish, and forgotten by a new sluiced
        self.versions = []  # (version, model after the change)
        self.excused = 0  # connections whose server was killed
        self.done = collections.Counter()
        self.start_configuration(self.configuration())
        self.note_version()

    def configuration(self):
        node = self.director.node(workers=2)
        node.update(management="api", state_directory=os.path.join(self.lab.run.directory, "state"))
        return {"node": node, "services": self.wanted()}

    def wanted(self):
        weights = {index: weight for index, (weight, _) in sorted(self.model.items())}
        return self.services(weights, consistency="cookie", cookie=COOKIE)

    def write(self, services, name="services"):
        path = os.path.join(self.lab.run.directory, f"{name}.yaml")
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump({"services": services}, file, sort_keys=False)
        return path

    def apply(self):
        self.director.ctl("apply", "-f", self.write(self.wanted()))

    def version(self):
        return number(self.director.ctl("status"), "desired_version")

    def note_version(self):
        version = self.version()
        model = {index: list(state) for index, state in self.model.items()}
        if not self.versions or self.versions[-1][0] != version:
            if self.versions:
                self.assertGreater(version, self.versions[-1][0], "versions go up, through kill -9 too")
            self.versions.append((version, model))

    def victim(self):
        """Not the first one, so that there is always one that takes new connections."""
        return self.random.choice([index for index in self.model if index != FIRST] or [None])

    # ---- the changes; each is skipped where there is nothing that it could be done to

    def drain(self, index):
        self.director.ctl("backend", "drain", POOL, f"backend-{index}")
        self.model[index][1] = True

    def undrain(self, index):
        self.director.ctl("backend", "undrain", POOL, f"backend-{index}")
        self.model[index][1] = False

    def report_down(self, index):
        self.director.ctl("backend", "down", POOL, f"backend-{index}")
        self.down.add(index)

    def report_up(self, index):
        self.director.ctl("backend", "up", POOL, f"backend-{index}")
        self.down.discard(index)

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
        self.down.discard(index)

    def add(self, _):
        missing = [index for index in (2, 3, 4) if index not in self.model]
        if missing:
            self.model[self.random.choice(missing)] = [self.random.choice((50, 100, 300)), False]
            self.apply()

    def rollback(self, _):
        """To a state that takes no backend away, whose connections would break. Drains of operators stay."""
        for version, model in self.random.sample(self.versions, len(self.versions)):
            # As many are kept.
            if set(self.model) <= set(model) and version > self.versions[-1][0] - 50:
                self.director.ctl("rollback", str(version))
                self.model = {index: [weight, self.model.get(index, (0, False))[1]]
                              for index, (weight, _) in model.items()}
                return

    def vip_comes_and_goes(self, _):
        """A whole document with another VIP in it, and without it again."""
        services = self.wanted()
        services["vips"].append({"name": "passing", "address": "198.18.0.1", "protocol": "tcp", "port": 443,
                                 "pool": POOL, "mode": "gue"})
        self.director.ctl("apply", "-f", self.write(services))
        self.assertEqual(len(self.director.ctl("get", "vips")["vips"]), 2)
        self.apply()

    def burst(self, _):
        """Several operators at once, each twice."""
        indexes = [index for index in self.model if index != FIRST]
        commands = [self.director.ctl_command("backend", "drain", POOL, f"backend-{index}") for index in indexes * 2]
        processes = [self.director.namespace.start(f"burst-{i}", command) for i, command in enumerate(commands)]
        self.assertEqual([process.wait(30) for process in processes], [0] * len(commands))
        for index in indexes:
            self.model[index][1] = True

    def refused(self, _):
        """What is wrong, and what is out of date, changes nothing."""
        before = self.director.ctl("status")
        services = self.wanted()
        services["vips"][0]["port"] = 0
        wrong = self.write(services, "wrong")
        stale = str(self.versions[0][0] if len(self.versions) > 1 else 999)
        for words in (("apply", "-f", wrong), ("apply", "-f", self.write(self.wanted()), "--expect", stale),
                      ("backend", "drain", POOL, "nobody"), ("rollback", "999999"),
                      ("backend", "add", POOL, "two-of-it", config.backend(FIRST)["address"])):
            self.assertEqual(self.director.ctl_run(*words, check=False).returncode, 1, words)
        after = self.director.ctl("status")
        for key in ("desired_version", "state_generation"):
            self.assertEqual(before[key], after[key], key)

    def reload(self, _):
        """A file that says something else is not the truth here."""
        generation = number(self.director.ctl("status"), "state_generation")
        self.director.reload({**self.configuration(), "services": config.services({1: 7}, versions=(4,), udp=False)})
        self.assertGreaterEqual(number(self.director.ctl("status"), "state_generation"), generation)

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

    def kill_sluiced(self, _):
        self.director.process.send_signal(signal.SIGKILL)
        self.director.process.wait(10)
        self.director.start(self.configuration())  # the store has the state, whatever the file says
        self.down.clear()

    KINDS = (add, rollback, reload, kill_sluiced, vip_comes_and_goes, refused, reweight, drain, undrain, burst,
             report_down, report_up, remove, kill_server)
    # These end connections of the load too, which no rule forbids.
    ENDING = (remove, kill_server)
    WITHOUT_VICTIM = (add, rollback, reload, kill_sluiced, vip_comes_and_goes, refused, burst)

    def change(self, kind):
        index = self.victim()
        if index is None and kind not in self.WITHOUT_VICTIM:
            return
        self.done[kind.__name__] += 1
        if kind in self.ENDING:
            kind(self, index)
            return
        # Not all that the machine can do: other labs run beside this one for its two minutes.
        wrk = Wrk(self.client, VIP4, 60, connections=8, name=f"wrk-{sum(self.done.values())}", pause_ms=4)
        kind(self, index)
        time.sleep(0.3)  # so that there is load after it, too
        report = wrk.stop()
        self.assertEqual(report["failed"], 0, f"{kind.__name__}: {report['text']}")
        self.assertGreater(report["requests"], 0)

    # ---- what must be

    def check(self):
        statuses = self.director.backends(POOL)
        found = {name: (int(status["backend"]["weight"]), status["lifecycle"].endswith("DRAINING"))
                 for name, status in statuses.items()}
        self.assertEqual(found, {f"backend-{index}": tuple(state) for index, state in self.model.items()})
        self.assertEqual({name for name, status in statuses.items() if status.get("health", "").endswith("DOWN")},
                         {f"backend-{index}" for index in self.down})
        self.note_version()
        self.assertEqual(number(self.director.ctl("history")["changes"][0], "version"), self.versions[-1][0])
        self.wait_for_workers()
        report = http_load(self.client, VIP4, 100)
        self.assert_all_answered(report)
        wanted = {f"backend-{index}" for index, (_, draining) in self.model.items()
                  if not draining and index not in self.down}
        self.assertLessEqual(set(report["by_backend"]), wanted, "a new connection on a draining or failed backend")
        self.assertEqual(self.held.status()["failures"][self.excused:], [])
        if self.held.status()["open"] < 40:
            self.held.open(20)

    def test_random_changes_and_kills(self):
        print(f"SLUICE_CHAOS_SEED={SEED} SLUICE_CHAOS_SECONDS={SECONDS}", flush=True)
        self.held = HeldConnections(self.client, VIP4, 60)
        end = time.monotonic() + SECONDS
        # Each kind once, in random order, before chance alone decides, so that the short form has as many as it can.
        kinds = self.random.sample(self.KINDS, len(self.KINDS))
        while time.monotonic() < end:
            self.change(kinds.pop() if kinds else self.random.choice(self.KINDS))
            self.check()
        status = self.held.stop()
        self.assertEqual(status["failures"][self.excused:], [])
        print(f"{sum(self.done.values())} changes ({dict(self.done)}), {status['requests']} requests on held "
              f"connections, {self.excused} connections lost their server", flush=True)


if __name__ == "__main__":
    unittest.main()
