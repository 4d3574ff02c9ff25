"""What every end-to-end test shares: a lab for each test class, and checks that no test can forget.

Imported first: it makes the package `lab` (tools/lab) importable.
"""

import hashlib
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))

# pylint: disable=wrong-import-position
from lab import config
from lab.clients.tools import iperf3
from lab.director import entered, left, number
from lab.lab import Lab
from lab.process import LabError, wait_until


IPERF_PORT = 5201


def iperf_vip(version, **fields):
    """A VIP for LabCase.check_iperf3, beside those of config.services."""
    return {"name": f"iperf{version}", "address": config.VIP[version], "protocol": "tcp", "port": IPERF_PORT,
            "pool": config.POOL[version], **fields}


class LabCase(unittest.TestCase):
    """Every test that starts sluiced ends with the packet sum of invariant 2, a clean stop and nothing left behind."""

    BACKENDS = 4
    UDP = False
    TUNNELS = False
    AGENT_OPTIONS = ()

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(backend_count=cls.BACKENDS, udp=cls.UDP, tunnels=cls.TUNNELS,
                      agent_options=cls.AGENT_OPTIONS)
        cls.addClassCleanup(cls._remove_lab)
        cls.director = cls.lab.director
        cls.client = cls.lab.client

    @classmethod
    def _remove_lab(cls):
        cls.lab.remove()
        remains = cls.lab.remains()
        if remains:
            raise AssertionError(f"the lab left behind: {remains}")

    def start(self, services, **node):
        self.start_configuration({"node": self.director.node(**node), "services": services})

    def start_configuration(self, configuration):
        self.addCleanup(self.lab.forget_connections)  # behind the next
        self.addCleanup(self._finish)
        self.director.start(configuration)

    def _finish(self):
        self.client.end_processes()
        if self.director.process is None:
            return
        log = self.director.process.log_path
        try:
            totals = self.director.totals_at_rest()
            self.assertEqual(entered(totals), left(totals))
            code, behind = self.director.stop()
            self.assertEqual((code, behind), (0, []), "sluiced is to end with 0 and leave nothing behind")
            with open(log, encoding="utf-8", errors="replace") as file:
                self.assertIn("packet sum: in = out", file.read())
        finally:
            self.director.kill()
            if self._failed():
                with open(log, encoding="utf-8", errors="replace") as file:
                    print(f"---- log of sluiced in {self.id()}\n{file.read()[-6000:]}----", file=sys.stderr)

    def _failed(self):
        result = self._outcome.result
        bad = [getattr(test, "test_case", test) for test, _ in result.failures + result.errors]
        return sys.exc_info()[0] is not None or any(test is self for test in bad)

    # ---- changes through sluicectl

    def wait_for_workers(self):
        """Until every worker uses the newest state."""
        def taken_up():
            status = self.director.ctl("status")
            return number(status, "state_generation_in_use") >= number(status, "state_generation")

        wait_until(taken_up, 10, "every worker uses the newest state")

    def backend_status(self, name, pool=config.POOL[4]):
        return self.director.backends(pool)[name]

    def started(self, name, pool=config.POOL[4]):
        return number(self.backend_status(name, pool), "flows_started")

    def wait_for_no_flows(self, name, pool=config.POOL[4]):
        try:
            wait_until(lambda: self.director.flows_alive(pool, name) == 0, 40, f"{pool}/{name} has no live flows")
        except LabError as error:
            # Whether both ends have the connection, and whether it was entered twice, by one worker or by two.
            tables = [{key: table for key, table in worker.items() if key.startswith("table_")}
                      for worker in self.director.ctl("get", "workers")["workers"]]
            ends = {end.name: end.run(["ss", "-Htan"]).stdout.splitlines()
                    for end in (self.client, self.lab.network.backends[name])}
            raise LabError(f"{error}; tables by worker: {tables}; sockets: {ends}") from error

    # ---- checks

    def assert_all_answered(self, report):
        self.assertEqual((report["failed"], report["errors"]), (0, {}))

    def assert_held(self, status):
        """No held connection is broken, and none changed its backend."""
        self.assertEqual(status["failures"], [])

    def assert_shares(self, by_backend, weights, points):
        """Each backend's share is within `points` percentage points of its weight's; nobody else answered."""
        self.assertLessEqual(set(by_backend), {f"backend-{index}" for index in weights})
        total, all_weights = sum(by_backend.values()), sum(weights.values())
        for index, weight in weights.items():
            share = 100 * by_backend.get(f"backend-{index}", 0) / total
            self.assertAlmostEqual(share, 100 * weight / all_weights, delta=points,
                                   msg=f"backend-{index} of {by_backend}")

    def assert_upload(self, version, name):
        """A large file that the client sends to the VIP arrives whole at the backend that answers; `name` is the
        upload's own."""
        vip = config.VIP[version]
        host = f"[{vip}]" if version == 6 else vip
        done = self.client.run(["curl", "-sS", "--fail", "--max-time", "30", "-T", self.lab.backends.big_path,
                                "--dump-header", "-", f"http://{host}/upload/{name}"], timeout=40)
        backend = re.search(r"^X-Backend: (\S+)", done.stdout, re.MULTILINE).group(1)
        arrived = hashlib.sha256(self.lab.backends.uploaded(backend, name)).hexdigest()
        self.assertEqual(arrived, self.lab.backends.big_sha256)

    def check_iperf3(self, mode):
        """Streams both ways in both families, with backend-1 behind the VIPs of IPERF_PORT. Rates are reported, not
        asserted."""
        server = self.lab.network.backends["backend-1"]
        for version in (4, 6):
            for options in ([], ["-R"]):
                with self.subTest(mode=mode, ip=version, options=options):
                    rate = iperf3(self.client, server, config.VIP[version], IPERF_PORT, seconds=1, options=options)
                    print(f"\niperf3 {mode} IPv{version} {options}: {rate / 1e9:.2f} Gb/s", flush=True)
                    self.assertGreater(rate, 0)

    def assert_downloads(self, reports):
        expected = self.lab.backends.big_sha256
        for report in reports:
            self.assertEqual((report["error"], report["sha256"]), (None, expected), report)
