#!/usr/bin/python3
"""How long ten thousand VIPs take to apply and to scrape, and what traffic feels of it. Prints; asserts no time."""

import os
import re
import statistics
import threading
import time
import unittest

import yaml

from lab_case import LabCase
from management_case import ManagementCase
from lab import config
from lab.network import VIP4

VIPS = 10_000
SCRAPES = 5
SECONDS = 10


class ScrapeTest(LabCase):
    BACKENDS = 2

    def test_ten_thousand_vips(self):
        services = config.services({1: 100, 2: 100}, versions=(4,), udp=False)
        services["vips"] += [{"name": f"vip-{i}", "address": f"198.18.{i // 250}.{i % 250 + 1}", "protocol": "tcp",
                              "port": 443, "pool": "web", "mode": "l2"} for i in range(VIPS - 1)]
        self.start(services)
        times, size = [], 0
        for _ in range(SCRAPES):
            size, seconds = self.scrape()
            times.append(seconds)
        print(f"\n{VIPS} VIPs: {size / 1e6:.1f} MB compressed, {min(times):.3f} to {max(times):.3f} s, median "
              f"{statistics.median(times):.3f} s of {SCRAPES} scrapes", flush=True)
        alone = self.load()
        stop = threading.Event()
        count = []

        def scrape_again_and_again():
            while not stop.is_set():
                count.append(self.scrape()[1])

        scraper = threading.Thread(target=scrape_again_and_again)
        scraper.start()
        missed_before = self.missed()
        try:
            during = self.load()
        finally:
            stop.set()
            scraper.join()
        print(f"requests/s and p99 alone {alone}, during {len(count)} scrapes in turn {during}; packets missed "
              f"meanwhile {self.missed() - missed_before:.0f}", flush=True)
        self.assertGreater(len(count), 0)

    def scrape(self):
        done = self.director.namespace.run([
            "curl", "-sS", "--fail", "--max-time", "60", "-H", "Accept-Encoding: gzip", "-o", "/dev/null", "-w",
            "%{size_download} %{time_total}", f"http://127.0.0.1:{config.METRICS_PORT}/metrics"], timeout=70)
        size, seconds = done.stdout.split()
        return int(size), float(seconds)

    def load(self):
        done = self.client.run(["wrk", "-t1", "-c8", f"-d{SECONDS}s", "--latency", f"http://{VIP4}/"],
                               timeout=SECONDS + 20)
        return re.search(r"Requests/sec: +(\S+)", done.stdout)[1], re.search(r"99% +(\S+)", done.stdout)[1]

    def missed(self):
        return sum(int(port["rx_missed"]) for port in self.director.ctl("get", "ports")["ports"])


class ApplyTest(ManagementCase):
    POOLS, BACKENDS = 100, 100

    def test_ten_thousand_vips_and_backends(self):
        self.write("api")
        self.assertIsNone(self.start(), self.log())
        path = os.path.join(self.directory, "large.yaml")
        pools = [{"name": f"pool-{p}", "backends": [{"name": f"backend-{b}", "address": f"10.{p}.0.{b + 1}"}
                                                    for b in range(self.BACKENDS)]} for p in range(self.POOLS)]
        vips = [{"name": f"vip-{v}", "address": f"198.18.{v // 250}.{v % 250 + 1}", "protocol": "tcp", "port": 443,
                 "pool": f"pool-{v % self.POOLS}", "mode": "gue"} for v in range(VIPS)]
        for words, weight in ((("diff",), 100), (("apply",), 100), (("apply",), 50)):
            pools[0]["backends"][0]["weight"] = weight
            with open(path, "w", encoding="utf-8") as file:
                yaml.dump({"services": {"pools": pools, "vips": vips}}, file, sort_keys=False,
                          Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper))
            start = time.monotonic()
            done = self.ctl(*words, "-f", path, check=False)
            print(f"\n{' '.join(words)}, weight {weight}: {time.monotonic() - start:.2f} s; "
                  f"{(done.stdout + done.stderr).splitlines()[-1]}", flush=True)
            self.assertIn(done.returncode, (0, 4), done.stderr)
        self.assertEqual(self.ctl("get", "backends", "pool-0/backend-0").returncode, 0)


if __name__ == "__main__":
    unittest.main()
