#!/usr/bin/python3
"""What a worker feels of five thousand health checks a second that take the data path beside traffic at a steady rate.
The worker has a CPU of its own, everybody else the other one. Prints; asserts no time: where other programs take the
worker's CPU, the queue from the host overflows, and checks fail."""

import os
import subprocess
import time
import unittest

from lab_case import LabCase
from lab import config
from lab.clients import tools
from lab.network import DIRECTOR, INTERFACE, VIP4
from lab.process import wait_until

POOLS = 500  # of all four backends: 2 000 checks
INTERVAL_MS = 400
RATE = 20_000  # packets of traffic a second
SECONDS = 10
FLOWS = 2000
WORKER_CPU = max(os.sched_getaffinity(0))


class ManyChecksTest(LabCase):
    @classmethod
    def setUpClass(cls):
        everybody = os.sched_getaffinity(0)
        cls.addClassCleanup(os.sched_setaffinity, 0, everybody)
        os.sched_setaffinity(0, everybody - {WORKER_CPU} or everybody)
        super().setUpClass()
        # Receiving is work of the CPU that sends, unless it is told otherwise.
        cls.lab.network.keep_order()
        for backend in cls.lab.network.backends.values():
            backend.ip("address add 198.19.0.0/16 dev lo")

    def services(self, checks):
        """A VIP for the traffic, and one for each pool whose backends are checked."""
        weights = {1: 100, 2: 100, 3: 100, 4: 100}
        services = config.services(weights, versions=(4,), udp=False)
        services["vips"].append({"name": "discard", "address": VIP4, "protocol": "udp", "port": 9, "pool": "web",
                                 "mode": "l2"})
        for index in range(POOLS):
            pool = {"name": f"pool-{index}", "backends": [config.backend(backend) for backend in weights]}
            if checks:
                pool["health_check"] = {"type": "tcp", "interval_ms": INTERVAL_MS, "fast_interval_ms": INTERVAL_MS}
            services["pools"].append(pool)
            services["vips"].append({"name": f"vip-{index}", "address": f"198.19.{index // 250}.{index % 250 + 1}",
                                     "protocol": "tcp", "port": 80, "pool": pool["name"], "mode": "l2"})
        return services

    def test_five_thousand_checks_a_second(self):
        everybody = os.sched_getaffinity(0)
        os.sched_setaffinity(0, everybody | {WORKER_CPU})  # sluiced may use both
        try:
            self.node = self.director.node()
            self.node["workers"] = {"count": 1, "cpus": [WORKER_CPU], "idle": "adaptive"}
            self.start_configuration({"node": self.node, "services": self.services(checks=False)})
        finally:
            os.sched_setaffinity(0, everybody)
        for checks in (False, True, False, True, False):
            self.reload(checks)
            self.measure(checks)

    def _finish(self):
        """Checks go on for ever: without them the director comes to rest."""
        if self.director.process is not None:
            self.reload(checks=False)
        super()._finish()

    def reload(self, checks):
        self.director.reload({"node": self.node, "services": self.services(checks)})
        wait_until(lambda: ("check" in self.director.backends("pool-0")["backend-1"]) == checks, 60,
                   "the checks are as wished")
        if checks:
            wait_until(lambda: all(int(status["check"].get("passed", 0)) > 2 for status in self.checked()), 60,
                       "every check has passed")

    def checked(self):
        return [status for status in self.director.ctl("get", "backends")["backends"] if "check" in status]

    def now(self):
        worker = self.director.ctl("get", "workers")["workers"][0]
        checks = [status["check"] for status in self.checked()]
        return {
            "time": time.monotonic(),
            "checks": sum(int(check.get("passed", 0)) for check in checks),
            "failed": sum(int(check.get("failed", 0)) + int(check.get("not_made", 0)) for check in checks),
            "probes": int(worker.get("probes", 0)),
            "received": int(worker["received"]),
            "busy_s": float(worker.get("busy_s", 0)),
            "missed": sum(int(port.get("rx_missed", 0)) for port in self.director.ctl("get", "ports")["ports"]),
        }

    def measure(self, checks):
        flood = self.client.start("traffic", [
            "/usr/bin/python3", os.path.join(os.path.dirname(tools.__file__), "flood.py"), "--interface", INTERFACE,
            "--mac", DIRECTOR.mac, "--target", VIP4, "--port", "9", "--protocol", "udp", "--frames", str(FLOWS),
            "--rate", str(RATE), "--seconds", "300"], stdout=subprocess.PIPE)
        received = self.director.totals()["received"]
        wait_until(lambda: self.director.totals()["received"] > received + RATE, 30, "the traffic has begun")
        before = self.now()
        # The director answers by itself, so the times are the worker's, those of the kernels on the way, and the
        # client's, which nobody keeps from its CPU.
        # At shorter intervals ping asks for the time instead of waiting, and takes the CPU from the checks.
        pings = self.client.run(["chrt", "--fifo", "50", "ping", "-n", "-q", "-i", "0.02", "-w", str(SECONDS), VIP4],
                                timeout=SECONDS + 20)
        after = self.now()
        tools.stop_flood(flood)
        did = {key: after[key] - before[key] for key in before}
        seconds = did.pop("time")
        print(f"\n{'with' if checks else 'without'} checks: {did['checks'] / seconds:.0f} checks/s, {did['failed']} "
              f"failed; {did['received'] / seconds:.0f} packets/s received, of them {did['probes'] / seconds:.0f} of "
              f"checks, {did['missed']} missed; busy {100 * did['busy_s'] / seconds:.1f} %, "
              f"{1e6 * did['busy_s'] / max(1, did['received']):.2f} us a packet\n"
              + "\n".join(pings.stdout.splitlines()[-2:]), flush=True)
        self.assertEqual(did["checks"] > 0, checks)


if __name__ == "__main__":
    unittest.main()
