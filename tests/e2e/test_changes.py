#!/usr/bin/python3
"""Changes of the desired state under load: connections held open across each of them never break or move."""

import os
import signal
import unittest

import yaml

from lab_case import LabCase
from lab import config
from lab.clients.tools import Downloads, HeldConnections, Wrk, http_load
from lab.director import number
from lab.network import VIP4, VIP6, backend_host
from lab.process import wait_until

WEIGHTS = {1: 100, 2: 100, 3: 100}


class ChangesTest(LabCase):
    def setUp(self):
        self.start(config.services(WEIGHTS, udp=False))

    def apply(self, services):
        path = os.path.join(self.lab.run.directory, "services.yaml")
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump({"services": services}, file, sort_keys=False)
        return self.director.ctl("apply", "-f", path)

    def reload(self, services):
        """SIGHUP, until the new state is in use."""
        generation = number(self.director.ctl("status"), "state_generation")
        self.director.reload({"node": self.director.node(), "services": services})
        wait_until(lambda: number(self.director.ctl("status"), "state_generation_in_use") > generation, 10,
                   "the reloaded state is in use")

    def add(self, index, weight=100, version=4):
        host = backend_host(index)
        self.director.ctl("backend", "add", config.POOL[version], host.role, host.address(version), "--weight",
                          str(weight))

    def assert_all_speak(self, held):
        """Every held connection gets an answer after this moment, and none is broken."""
        before = held.status()
        self.assert_held(before)

        def spoke():
            now = held.status()
            self.assert_held(now)
            return now["requests"] >= before["requests"] + 2 * before["open"]

        wait_until(spoke, 20, "two more answers for each held connection")

    def test_connections_survive_every_change(self):
        held = [HeldConnections(self.client, VIP4, 50, name="held4"),
                HeldConnections(self.client, VIP6, 30, name="held6")]
        downloads = Downloads(self.client, VIP4, 4, bytes_per_second=3 << 20)
        wrk = Wrk(self.client, VIP4, seconds=120)

        def change(what, action):
            with self.subTest(change=what):
                action()
                for connections in held:
                    self.assert_all_speak(connections)

        more = config.services({1: 10, 2: 400, 3: 100, 4: 100}, udp=False)
        fewer = config.services({1: 100, 3: 100, 4: 50}, udp=False)
        for version in (4, 6):
            change(f"add v{version}", lambda v=version: self.add(4, version=v))
            change(f"drain v{version}", lambda v=version: self.director.ctl(
                "backend", "drain", config.POOL[v], "backend-2"))
            change(f"undrain v{version}", lambda v=version: self.director.ctl(
                "backend", "undrain", config.POOL[v], "backend-2"))
            change(f"down v{version}", lambda v=version: self.director.ctl(
                "backend", "down", config.POOL[v], "backend-2", "--reason", "a test says so"))
            change(f"up v{version}", lambda v=version: self.director.ctl(
                "backend", "up", config.POOL[v], "backend-2"))
        change("reweight by apply", lambda: self.apply(more))
        change("reload", lambda: self.reload(config.services({1: 100, 2: 50, 3: 100, 4: 100}, udp=False)))
        change("drain before removal", lambda: [self.director.ctl("backend", "drain", config.POOL[v], "backend-2")
                                                for v in (4, 6)])
        for connections in held:
            connections.close("backend-2")
        self.wait_for_no_flows("backend-2", config.POOL[4])
        self.wait_for_no_flows("backend-2", config.POOL[6])
        late = Downloads(self.client, VIP4, 4, bytes_per_second=3 << 20, name="late-download")
        change("remove", lambda: [self.assertEqual(
            number(self.director.ctl("backend", "remove", config.POOL[v], "backend-2"), "flows_alive"), 0)
            for v in (4, 6)])
        change("apply without the removed one", lambda: self.apply(fewer))

        load = wrk.stop()
        self.assertEqual(load["failed"], 0, load["text"])
        self.assertGreater(load["requests"], 0)
        for connections, count in zip(held, (50, 30)):
            final = connections.stop()
            self.assert_held(final)
            self.assertEqual(final["connections"], count)
        self.assert_downloads(downloads.finish() + late.finish())

    def test_a_draining_backend_serves_old_connections_and_gets_no_new_ones(self):
        held = HeldConnections(self.client, VIP4, 40)
        self.director.ctl("backend", "drain", config.POOL[4], "backend-1")
        self.wait_for_workers()
        status = self.backend_status("backend-1")
        self.assertEqual(status["lifecycle"], "BACKEND_LIFECYCLE_DRAINING")
        started = self.started("backend-1")
        report = http_load(self.client, VIP4, 2000)
        self.assert_all_answered(report)
        self.assertNotIn("backend-1", report["by_backend"])
        self.assertEqual(self.started("backend-1"), started)
        self.assert_all_speak(held)
        self.assertGreater(held.status()["by_backend"]["backend-1"]["open"], 0)

        self.director.ctl("backend", "undrain", config.POOL[4], "backend-1")
        self.wait_for_workers()
        self.assertIn("backend-1", http_load(self.client, VIP4, 500)["by_backend"])
        self.assert_held(held.stop())

    def test_connections_of_a_removed_backend_go_elsewhere_and_the_others_stay(self):
        held = HeldConnections(self.client, VIP4, 40)
        on_removed = held.status()["by_backend"]["backend-1"]["open"]
        answer = self.director.ctl("backend", "remove", config.POOL[4], "backend-1")
        self.assertGreaterEqual(number(answer, "flows_alive"), on_removed)
        report = http_load(self.client, VIP4, 1000)
        self.assert_all_answered(report)
        self.assertNotIn("backend-1", report["by_backend"])

        def all_broken():
            return len(held.status()["failures"]) == on_removed

        # The other backends reset connections that they do not know: the client learns at once, and of these only.
        wait_until(all_broken, 20, f"the {on_removed} connections of the removed backend have ended")
        final = held.stop()
        self.assertEqual(len(final["failures"]), on_removed)
        self.assertTrue(all("backend-1" in failure for failure in final["failures"]), final["failures"])

    def test_connections_of_a_backend_that_is_down_are_reset_where_the_pool_says_so(self):
        services = config.services(WEIGHTS, udp=False)
        services["pools"][0] |= {"on_down": "reset", "no_backend": "reset"}
        self.apply(services)
        held = HeldConnections(self.client, VIP4, 40)
        on_it = held.status()["by_backend"]["backend-1"]["open"]
        version = number(self.director.ctl("status"), "desired_version")
        status = self.director.ctl("backend", "down", config.POOL[4], "backend-1", "--reason", "pulled")["backend"]
        self.assertEqual((status["health"], status["health_reason"]), ("BACKEND_HEALTH_DOWN", "pulled"))
        self.assertEqual(number(self.director.ctl("status"), "desired_version"), version, "it is no wish")
        wait_until(lambda: len(held.status()["failures"]) == on_it, 20,
                   f"the {on_it} connections of the backend that is down are reset")
        report = http_load(self.client, VIP4, 500)
        self.assert_all_answered(report)
        self.assertNotIn("backend-1", report["by_backend"])
        self.director.ctl("backend", "up", config.POOL[4], "backend-1")
        self.wait_for_workers()
        self.assertIn("backend-1", http_load(self.client, VIP4, 500)["by_backend"])
        final = held.stop()
        self.assertEqual(len(final["failures"]), on_it)
        self.assertTrue(all("backend-1" in failure for failure in final["failures"]), final["failures"])

    def test_a_bad_reload_is_refused_and_the_running_configuration_stays(self):
        held = HeldConnections(self.client, VIP4, 20)
        before = self.director.ctl("status")
        good = {"node": self.director.node(), "services": config.services(WEIGHTS, udp=False)}
        bad = config.changed(good, ["services", "pools", 0, "backends", 0, "weight"], 100000)
        lines = len(self.director.process.log().splitlines())
        self.director.reload(bad)
        wait_until(lambda: any("weight" in line for line in self.director.process.log().splitlines()[lines:]), 10,
                   "the log names the wrong field")
        message = "\n".join(self.director.process.log().splitlines()[lines:])
        self.assertIn(os.path.basename(self.director.config_path), message)
        after = self.director.ctl("status")
        self.assertEqual(after["state_generation"], before["state_generation"])
        self.assert_all_answered(http_load(self.client, VIP4, 500))
        self.assert_all_speak(held)
        self.assert_held(held.stop())

    def test_a_reload_takes_the_services_and_names_what_needs_a_restart(self):
        lines = len(self.director.process.log().splitlines())
        self.director.reload({"node": self.director.node(workers=2), "services": config.services({1: 1}, udp=False)})
        wait_until(lambda: len(self.director.backends(config.POOL[4])) == 1, 10, "the services are taken")
        said = [line for line in self.director.process.log().splitlines()[lines:] if "restart" in line]
        self.assertTrue(any("workers" in line for line in said), said)
        self.assertEqual(len(self.director.ctl("get", "workers")["workers"]), 1)

    def test_refused_changes_change_nothing(self):
        before = self.director.ctl("status")["state_generation"]
        pool, other = config.POOL[4], backend_host(4).ipv4
        for arguments in (["add", pool, "backend-1", other],
                          ["add", pool, "new", backend_host(1).ipv4],
                          ["add", pool, "new", other, "--weight", "1001"],
                          ["add", pool, "new", "300.1.1.1"],
                          ["add", "nowhere", "new", other],
                          ["remove", pool, "nobody"], ["drain", pool, "nobody"], ["undrain", "nowhere", "backend-1"]):
            with self.subTest(backend=arguments):
                done = self.director.ctl_run("backend", *arguments, check=False)
                self.assertIn(done.returncode, (1, 2), done.stderr)  # refused, or wrong on the command line
                self.assertTrue(done.stderr.strip(), "the reason is on standard error")
        self.assertEqual(self.director.ctl("status")["state_generation"], before)
        self.assert_all_answered(http_load(self.client, VIP4, 200))

    def test_flapping_backend_under_load(self):
        """Drains and undrains in quick succession: no held connection notices."""
        held = HeldConnections(self.client, VIP4, 40)
        wrk = Wrk(self.client, VIP4, seconds=60)
        for _ in range(15):
            self.director.ctl("backend", "drain", config.POOL[4], "backend-3")
            self.director.ctl("backend", "undrain", config.POOL[4], "backend-3")
        self.assert_all_speak(held)
        self.assertEqual(wrk.stop()["failed"], 0)
        self.assert_held(held.stop())

    def test_sigint_stops_like_sigterm(self):
        code, behind = self.director.stop(signal.SIGINT)
        self.assertEqual((code, behind), (0, []))


if __name__ == "__main__":
    unittest.main()
