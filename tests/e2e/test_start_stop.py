#!/usr/bin/python3
"""sluiced's start and end: what it refuses and how, and that it leaves nothing behind."""

import os
import time
import unittest

from lab_case import LabCase
from lab import config
from lab.clients.tools import http_load
from lab.network import VIP4
from lab.process import cpu_seconds

REFUSED = 3  # sluiced's exit code for a configuration that it does not accept


class StartStopTest(LabCase):
    BACKENDS = 2

    def good(self):
        return {"node": self.director.node(), "services": config.services({1: 100, 2: 100})}

    def bad_ones(self):
        """Name of the case: (configuration, what the message has to name)."""
        good = self.good()

        def with_value(path, value):
            return config.changed(good, path, value)

        vips, backends = good["services"]["vips"], ["services", "pools", 0, "backends"]
        return {
            "no YAML": ("node: [", ""),
            "unknown key": (with_value(["node", "portz"], []), "portz"),
            "wrong type": (with_value(["node", "workers", "count"], "many"), "count"),
            "weight out of range": (with_value([*backends, 1, "weight"], 1001), "weight"),
            "bad address": (with_value([*backends, 0, "address"], "192.0.2.300"), "192.0.2.300"),
            "duplicate VIP": (with_value(["services", "vips"], vips + [{**vips[0], "name": "again"}]), "again"),
            "duplicate backend": (with_value([*backends, 1, "name"], "backend-1"), "backend-1"),
            "unknown pool": (with_value(["services", "vips", 0, "pool"], "nowhere"), "nowhere"),
            "family does not fit": (with_value(["services", "vips", 0, "pool"], config.POOL[6]), vips[0]["name"]),
            "table size no prime": (with_value(["services", "pools", 0, "table_size"], 65536), "table_size"),
            "no ports": (with_value(["node", "ports"], []), "ports"),
        }

    def test_check_accepts_a_good_configuration(self):
        code, output = self.director.check(self.good())
        self.assertEqual(code, 0, output)
        self.assertNotIn(config.EXCEPTION_INTERFACE, self.director.namespace.interfaces())

    def test_bad_configurations_are_refused_with_file_and_field(self):
        for name, (configuration, field) in self.bad_ones().items():
            for action in (self.director.check, self.director.try_start):
                with self.subTest(case=name, action=action.__name__):
                    code, output = action(configuration)
                    self.assertEqual(code, REFUSED, output)
                    self.assertRegex(output, r"candidate\.yaml:\d+")
                    self.assertIn(field, output)

    def test_a_missing_file_is_refused(self):
        command = [self.director.binary("sluiced"), "--config", "/nonexistent.yaml"]
        done = self.director.namespace.run(command, check=False)
        self.assertEqual(done.returncode, REFUSED, done.stderr)
        self.assertIn("/nonexistent.yaml", done.stdout + done.stderr)

    def test_a_device_that_is_not_there_ends_the_start_with_nothing_left(self):
        configuration = self.good()
        configuration["node"]["ports"][0]["devices"] = ["net_af_packet0,iface=absent0"]
        code, output = self.director.try_start(configuration)
        self.assertNotEqual(code, 0)
        self.assertIn("absent0", output)
        self.assertEqual(sorted(self.director.namespace.interfaces()), ["eth0", "lo"])
        self.assertFalse(os.path.exists(self.director.socket_path))

    def test_stop_and_start_again(self):
        for _ in range(3):
            self.start(config.services({1: 100, 2: 100}))
            self.assertIn(config.EXCEPTION_INTERFACE, self.director.namespace.interfaces())
            self.assert_all_answered(http_load(self.client, VIP4, 100))
            self.assertEqual(self.director.stop(), (0, []))

    def test_start_after_a_kill(self):
        """What a killed sluiced could not remove (its socket) does not hinder the next one."""
        self.start(config.services({1: 100, 2: 100}))
        self.director.kill()
        self.start(config.services({1: 100, 2: 100}))
        self.assert_all_answered(http_load(self.client, VIP4, 100))

    def test_idle_adaptive_uses_little_cpu(self):
        """Reported, not asserted: it is a timing."""
        self.start(config.services({1: 100, 2: 100}))
        pid, window = self.director.process.pid, 2.0
        before = cpu_seconds(pid)
        time.sleep(window)
        share = (cpu_seconds(pid) - before) / window
        print(f"\nidle: adaptive, no traffic: {100 * share:.1f} % of one core", flush=True)


if __name__ == "__main__":
    unittest.main()
