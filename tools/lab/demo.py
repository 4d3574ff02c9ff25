#!/usr/bin/python3
"""tools/demo: real connections through sluiced while its backends change; see tools/demo for the options."""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from lab import config, registry
from lab.backends import BIG_BYTES
from lab.clients.tools import Downloads, HeldConnections, Wrk, http_load
from lab.director import entered, left, number
from lab.lab import ROOT, Lab
from lab.network import CLIENT, DIRECTOR, VIP4, VIP6, backend_host
from lab.process import LabError, wait_until
from lab.report import Report

REQUESTS = {4: 10000, 6: 4000}
WEIGHTS = {1: 100, 2: 100, 3: 200}
ADDED, ADDED_WEIGHT = 4, 100
DRAINED = 2
HELD = 50
DOWNLOADS = 6
# Percentage points between a backend's share of the requests and its weight's: about six times what chance explains.
SHARE_TOLERANCE = 3.0


class Demo:
    def __init__(self, lab, report):
        self._lab = lab
        self._director = lab.director
        self._report = report

    def run(self):
        self._start()
        self._spread()
        self._change_under_load()
        self._counters()
        self._metrics()

    def _start(self):
        self._report.section("The lab")
        self._report.line(f"client {CLIENT.ipv4} and {CLIENT.ipv6} -> director {DIRECTOR.ipv4} -> backends "
                          f"{backend_host(1).ipv4} to {backend_host(4).ipv4} running nginx")
        self._report.line(f"VIPs {VIP4} and {VIP6}, port 80, mode L2 (direct server return)")
        self._director.start({"node": self._director.node(), "services": config.services(WEIGHTS, udp=False)})
        self._report.text(self._director.ctl_text("status"))

    # ---- 1: requests over the backends

    def _spread(self):
        for version, count in REQUESTS.items():
            self._report.section(f"{count} requests over IPv{version}, each on a connection of its own, no retries")
            result = http_load(self._lab.client, config.VIP[version], count)
            rows = []
            worst = 0.0
            for index, weight in WEIGHTS.items():
                name = backend_host(index).role
                answered = result["by_backend"].get(name, 0)
                share, ideal = 100 * answered / count, 100 * weight / sum(WEIGHTS.values())
                worst = max(worst, abs(share - ideal))
                rows.append([name, str(weight), f"{ideal:.1f} %", f"{share:.1f} %", str(answered)])
            self._report.table(["backend", "weight", "share by weight", "share measured", "requests"], rows)
            self._report.promise(result["ok"] == count,
                                 f"{result['ok']} of {count} answered, {result['failed']} failed "
                                 f"({count / result['seconds']:.0f} connections/s) {result['errors'] or ''}")
            self._report.promise(worst <= SHARE_TOLERANCE,
                                 f"shares follow the weights; largest difference {worst:.1f} points")

    # ---- 2: add, drain, remove under load

    def _change_under_load(self):
        client, report = self._lab.client, self._report
        report.section(f"Changes under load: {HELD} connections held open, {DOWNLOADS} and again {DOWNLOADS} "
                       f"downloads of {BIG_BYTES >> 20} MiB, wrk")
        held = HeldConnections(client, VIP4, HELD)
        downloads = [Downloads(client, VIP4, DOWNLOADS, bytes_per_second=4 << 20)]
        wrk = Wrk(client, VIP4, seconds=120)
        self._pause(1.0)
        self._add()
        self._pause(1.0)
        held.open(10)  # these may be on the new backend
        self._drain(held)
        self._finish_drain(held)
        # Those of before had to end on the drained backend; these are under way when it goes.
        downloads.append(Downloads(client, VIP4, DOWNLOADS, bytes_per_second=12 << 20, name="late-download"))
        self._pause(0.5)
        self._remove()
        self._pause(1.0)

        load = wrk.stop()
        report.promise(load["failed"] == 0 and load["requests"] > 0,
                       f"wrk: {load['requests']} requests, {load['per_second']:.0f}/s, {load['failed']} failed")
        final = held.stop()
        report.promise(not final["failures"] and final["connections"] == HELD + 10,
                       f"{final['connections']} held connections: {final['requests']} requests, every one answered by "
                       f"its connection's first backend, {len(final['failures'])} broken {final['failures'][:3] or ''}")
        results = [result for batch in downloads for result in batch.finish()]
        good = [r for r in results if r["error"] is None and r["sha256"] == self._lab.backends.big_sha256]
        errors = [r["error"] for r in results if r["error"]]
        report.promise(len(good) == 2 * DOWNLOADS,
                       f"{len(good)} of {2 * DOWNLOADS} downloads complete with the right SHA-256, "
                       f"{sum(r['bytes'] for r in good) >> 20} MiB {errors or ''}")

    def _add(self):
        name = backend_host(ADDED).role
        self._do("backend", "add", config.POOL[4], name, backend_host(ADDED).ipv4, "--weight", str(ADDED_WEIGHT))
        wait_until(lambda: self._started(name) > 0, 10, f"{name} gets new connections")
        self._report.promise(True, f"{name} added and serving new connections")

    def _drain(self, held):
        name = backend_host(DRAINED).role
        old = held.status()["by_backend"].get(name, {"open": 0, "requests": 0})
        self._do("backend", "drain", config.POOL[4], name)
        self._wait_for_workers()
        started, before = self._started(name), held.status()["by_backend"].get(name, old)
        self._pause(2.0)
        now = held.status()["by_backend"].get(name, old)
        self._report.promise(
            old["open"] > 0 and now["open"] == old["open"] and now["requests"] > before["requests"],
            f"{name} draining: its {now['open']} held connections stay and got "
            f"{now['requests'] - before['requests']} more answers from it in 2 s")
        new = self._started(name) - started
        self._report.promise(new == 0, f"{name} draining: {new} new connections in these 2 s of load")

    def _finish_drain(self, held):
        name = backend_host(DRAINED).role
        held.close(name)
        began = time.monotonic()
        wait_until(lambda: self._director.flows_alive(config.POOL[4], name) == 0, 40, f"{name} has no live flows")
        self._report.line(f"its clients close their connections; no live flows after {time.monotonic() - began:.1f} s")

    def _remove(self):
        name = backend_host(DRAINED).role
        answer = self._director.ctl("backend", "remove", config.POOL[4], name)
        self._report.command("sluicectl", "backend", "remove", config.POOL[4], name)
        gone = name not in self._director.backends(config.POOL[4])
        self._report.promise(gone and number(answer, "flows_alive") == 0, f"{name} removed with 0 live flows")

    # ---- 3: counters

    def _counters(self):
        self._report.section("Counters after the traffic")
        totals = self._director.totals_at_rest()
        self._report.text(self._director.ctl_text("get", "backends"))
        self._report.text(self._director.ctl_text("stats"))
        terms = " + ".join(f"{key} {totals[key]}" for key in ("received", "from_host", "originated"))
        fates = " + ".join(f"{key} {totals[key]}" for key in ("forwarded", "answered", "punted", "sent_for_host",
                                                              "dropped", "held"))
        self._report.promise(entered(totals) == left(totals) and totals["held"] == 0,
                             f"every packet has one fate: {terms} = {entered(totals)}", f"= {fates}")

    def _metrics(self):
        self._report.section("Metrics")
        totals, samples = self._director.totals_and_metrics()
        received = sum(value for (name, _), value in samples.items() if name == "sluice_packets_received_total")
        self._report.line(f"http://127.0.0.1:{config.METRICS_PORT}/metrics: {len(samples)} samples of "
                          f"{len({name for name, _ in samples})} names")
        self._report.promise(received == totals["received"],
                             f"they agree with sluicectl: {received:.0f} packets received")

    # ---- helpers

    def _do(self, *arguments):
        self._report.command("sluicectl", *arguments)
        self._director.ctl(*arguments)

    def _started(self, name):
        return number(self._director.backends(config.POOL[4])[name], "flows_started")

    def _wait_for_workers(self):
        def taken_up():
            status = self._director.ctl("status")
            return number(status, "state_generation_in_use") >= number(status, "state_generation")

        wait_until(taken_up, 5, "every worker uses the newest state")

    @staticmethod
    def _pause(seconds):
        """Lets the load run: the demo is about what happens meanwhile."""
        time.sleep(seconds)


def stop(lab, report):
    report.section("Stopping")
    code, behind = lab.director.stop()
    lab.remove()
    behind += lab.remains()
    report.promise(code == 0 and not behind,
                   f"sluiced ended with {code}; left behind: {', '.join(behind) or 'nothing'}")


def what_to_try(lab):
    binaries = os.path.join(ROOT, "build/release/bin")
    name, server = lab.client.name, f"unix:{lab.director.socket_path}"
    return f"""
The lab is left running. To play with it:

  ip netns exec {name} curl http://{VIP4}/
  ip netns exec {name} curl 'http://[{VIP6}]/'
  ip netns exec {name} wrk -t1 -c16 -d5s http://{VIP4}/short
  ip netns exec {name} curl -o /dev/null http://{VIP4}/slow      # takes 96 s: drain its backend meanwhile
  export SLUICE_SERVER={server}
  {binaries}/sluicectl status
  {binaries}/sluicectl get backends
  {binaries}/sluicectl backend drain {config.POOL[4]} {backend_host(3).role}
  ip netns exec {lab.network.director.name} curl http://127.0.0.1:{config.METRICS_PORT}/metrics
  less {lab.director.config_path}

To remove it:

  tools/demo --clean
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--keep", action="store_true", help="leave the lab running")
    choice.add_argument("--clean", action="store_true", help="remove labs left running")
    options = parser.parse_args()
    if options.clean:
        names = registry.remove_kept() + registry.remove_abandoned()
        print(f"removed: {', '.join(names) or 'there was nothing'}")
        return 0

    report = Report()
    advice = ""
    try:
        with Lab() as lab:
            try:
                Demo(lab, report).run()
            except LabError:
                report.text(lab.director.last_log())
                raise
            if options.keep:
                lab.run.keep()
                advice = what_to_try(lab)
            else:
                stop(lab, report)
    except LabError as error:
        report.promise(False, str(error))
    except KeyboardInterrupt:
        report.promise(False, "interrupted; everything is removed")
    code = report.end()
    print(advice, end="")
    return code


if __name__ == "__main__":
    sys.exit(main())
