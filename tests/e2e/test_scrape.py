#!/usr/bin/python3
"""How long a scrape of ten thousand VIPs takes, and what traffic feels of it. Prints; asserts no time."""

import re
import statistics
import threading
import unittest

from lab_case import LabCase
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


if __name__ == "__main__":
    unittest.main()
