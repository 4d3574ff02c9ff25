#!/usr/bin/python3
"""A real Prometheus scrapes the lab under traffic and forced faults: every query of every dashboard's panel returns
data, not zero where the lab forces what it counts, and every alert fires."""

import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

from lab_case import LabCase
from lab import config
from lab.backends import UDP_PORT
from lab.clients.tools import HeldConnections, Wrk, http_load, ping
from lab.hold_thread import held
from lab.network import CLIENT, DIRECTOR, INTERFACE, VIP4, VIP6
from lab.process import wait_until
from lab.prometheus import Prometheus, quick_rules

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "grafana"))
# pylint: disable=wrong-import-position
import dashboards

TABLE = 1024  # entries of each table: fewer than a flood has flows
NAT_PORT = 8080
NAT = {"local_addresses": ["192.0.2.3"], "local_ports": "20000-20031"}
SPARE = "tap-spare"  # a second port, whose link the test takes away
DASHBOARD_VALUES = {"__rate_interval": "20s", "job": "sluice"}  # of the dashboards' variables; of others: all

# Panels' queries that stay at zero here, because the lab has no such fault: by a metric in them.
STAYS_ZERO = {
    "sluice_port_rx_no_buffer_total": "no device of the lab counts it",
    "sluice_port_rx_errors_total": "no device of the lab counts it",
    "sluice_worker_handed_over_packets_total": "there is one worker",
    "sluice_worker_taken_over_packets_total": "there is one worker",
    "sluice_connection_table_insert_full_total": "the limit of unconfirmed flows comes first",
}


def panel_queries():
    """{query without variables: where it is shown}"""
    queries = {}
    for name, text in dashboards.documents().items():
        board = json.loads(text)
        shown = [(f"{name}: {panel['title']}", target["expr"]) for panel in board["panels"]
                 for target in panel["targets"]]
        shown += [(f"{name}: {item['name']}", item["expr"]) for item in board["annotations"]["list"]]
        for place, expression in shown:
            plain = re.sub(r"\$\{?(\w+)\}?", lambda match: DASHBOARD_VALUES.get(match[1], ".*"), expression)
            queries[plain] = place
    return queries


class PrometheusTest(LabCase):
    UDP = True
    BACKENDS = 3

    def configuration(self):
        services = config.services({1: 100, 2: 100, 3: 100})
        services["pools"].append({"name": "nat", "backends": [config.backend(1, port=80)]})
        services["vips"].append({"name": "nat4", "address": VIP4, "protocol": "tcp", "port": NAT_PORT, "pool": "nat",
                                 "mode": "full-nat"})
        node = self.director.node(nat=NAT, tables={"connections_v4": TABLE, "connections_v6": TABLE})
        node["ports"].append({"name": "spare", "devices": [f"net_tap0,iface={SPARE}"]})
        return {"node": node, "services": services}

    def setUp(self):
        self.start_configuration(self.configuration())
        self.director.namespace.ip(f"link set {SPARE} up")
        self.prometheus = Prometheus(self.lab.run, self.director.namespace)
        self.addCleanup(self.prometheus.stop)

    def flood(self, *options, seconds=8, rate=8000):
        return self.client.start("flood", [
            "/usr/bin/python3", str(ROOT / "tools" / "lab" / "clients" / "flood.py"), "--interface", INTERFACE, "--mac",
            DIRECTOR.mac, "--rate", str(rate), "--seconds", str(seconds), *map(str, options)], stdout=subprocess.PIPE)

    def thread(self, start):
        """The full name of sluiced's thread whose name begins so."""
        pid = self.director.process.pid
        for task in os.listdir(f"/proc/{pid}/task"):
            name = pathlib.Path(f"/proc/{pid}/task/{task}/comm").read_text("ascii").strip()
            if name.startswith(start):
                return name
        raise AssertionError(f"no thread {start}")

    # ---- what happens, each with the alerts that it brings

    def traffic(self):
        wrk = Wrk(self.client, VIP4, 6, connections=4)
        self.assert_all_answered(http_load(self.client, VIP6, 200))
        self.client.run(["curl", "-sS", "--fail", "--max-time", "10", f"http://{VIP4}:{NAT_PORT}/"])
        self.assertGreater(ping(self.client, VIP4, 3), 0)
        self.assertGreater(wrk.finish()["requests"], 0)

    def pool_without_backends(self):
        for name in ("backend-1", "backend-2", "backend-3"):
            self.director.ctl("backend", "drain", "web", name)
        self.client.run(["curl", "-sS", "--max-time", "6", f"http://{VIP4}/"], check=False)
        self.prometheus.wait_fired("SluicePoolWithoutBackends", "SluiceNoBackendDrops", "SluiceDrainLasts")
        for name in ("backend-1", "backend-2", "backend-3"):
            self.director.ctl("backend", "undrain", "web", name)

    def backend_removed_with_connections(self):
        connections = HeldConnections(self.client, VIP6, 30, name="moved")
        self.director.ctl("backend", "remove", "web6", "backend-3")
        self.prometheus.wait_fired("SluiceConnectionsMoved")
        connections.stop()

    def backend_that_is_not_there(self):
        self.director.ctl("backend", "add", "web6", "nobody", "2001:db8::99")
        self.prometheus.wait_fired("SluiceNextHopUnresolved")
        self.director.ctl("backend", "remove", "web6", "nobody")

    def floods(self):
        # New connections fill their share of the table; those of real clients among them have no entry.
        flood = self.flood("--target", VIP4, "--port", 80, "--protocol", "tcp", "--frames", 3 * TABLE, seconds=20)
        wait_until(lambda: self.prometheus.query("sum(sluice_connection_table_unconfirmed_full_total)")[0][1] > 0, 30,
                   "the flood has filled its share")
        connections = HeldConnections(self.client, VIP4, 60, name="flooded", interval=0.02)
        self.prometheus.wait_fired("SluiceConnectionsWithoutEntry", "SluiceUnprotectedPackets")
        flood.popen.communicate()
        connections.stop()
        # Flows that come again and again fill the rest.
        flood = self.flood("--target", VIP4, "--port", UDP_PORT, "--protocol", "udp", "--frames", TABLE - 4, seconds=15)
        self.prometheus.wait_fired("SluiceConnectionTableNearlyFull")
        flood.popen.communicate()
        flood = self.flood("--source", CLIENT.ipv4, "--target", DIRECTOR.ipv4, seconds=6, rate=60000)
        self.prometheus.wait_fired("SluiceHostQueueFull")
        flood.popen.communicate()

    def nat_without_ports(self):
        wrk = self.client.start("wrk-nat", ["wrk", "-t1", "-c100", "-d10s", f"http://{VIP4}:{NAT_PORT}/"])
        self.prometheus.wait_fired("SluiceNatExhausted")
        wrk.wait(30)

    def worker_that_stands_still(self):
        pid = self.director.process.pid
        with held(pid, self.thread("rte-worker")):
            flood = self.flood("--target", VIP4, "--port", UDP_PORT, "--protocol", "udp", "--frames", 64, rate=60000)
            # The first sixteen changes wait for the worker, the next is refused.
            for _ in range(12):
                for verb in ("drain", "undrain"):
                    self.director.ctl_run("backend", verb, "web", "backend-1", check=False)
            self.prometheus.wait_fired("SluiceWorkerStalled", "SluiceStateNotInUse", "SluiceChangesRefused")
            flood.popen.communicate()
        self.prometheus.wait_fired("SluicePacketsLost")
        self.director.ctl_run("backend", "undrain", "web", "backend-1", check=False)
        with held(pid, self.thread("sluice-host")):
            self.prometheus.wait_fired("SluiceExceptionThreadStalled")

    def port_without_link(self):
        self.director.namespace.ip(f"link set {SPARE} down")
        self.prometheus.wait_fired("SluicePortDown")
        self.director.namespace.ip(f"link set {SPARE} up")

    def file_that_is_wrong(self):
        self.director.reload("services: {vips: nonsense}")
        self.prometheus.wait_fired("SluiceReloadFailed")

    def process_that_ends(self):
        connections = HeldConnections(self.client, VIP4, 40, name="survivors")
        self.director.kill()
        self.prometheus.wait_fired("SluiceDown")
        self.director.start(self.configuration())
        self.director.namespace.ip(f"link set {SPARE} up")
        self.prometheus.wait_fired("SluiceRestarted")
        moved = 'sum(sluice_connections_moved_total{cause="director_change"})'
        wait_until(lambda: self.prometheus.query(moved)[0][1] > 0, 30, "connections of before are seen")
        connections.stop()

    def test_every_panel_has_data_and_every_alert_fires(self):
        queries = panel_queries()
        self.prometheus.watch_queries(queries)
        self.traffic()
        self.assertEqual(self.prometheus.firing(), set(), "nothing is wrong yet")
        for happening in (self.pool_without_backends, self.backend_removed_with_connections,
                          self.backend_that_is_not_there, self.nat_without_ports, self.floods, self.port_without_link,
                          self.file_that_is_wrong, self.worker_that_stands_still, self.process_that_ends):
            with self.subTest(happening=happening.__name__):
                happening()
                print(f"\n{happening.__name__}: fired so far {len(self.prometheus.fired)}", flush=True)
        alerts = {rule["alert"] for group in quick_rules()["groups"] for rule in group["rules"]}
        self.assertEqual(self.prometheus.fired, alerts)
        self.traffic()
        answers = self.prometheus.answers
        empty = sorted(f"{queries[query]}: {query}" for query in queries if answers.get(query) is None)
        self.assertEqual(empty, [], "these queries gave no data")
        zero = sorted(f"{queries[query]}: {query}" for query in queries if answers[query] == 0
                      and not any(metric in query for metric in STAYS_ZERO))
        self.assertEqual(zero, [], "these queries gave nothing but zero")
        print(f"\n{len(queries)} queries gave data, {len(alerts)} alerts fired", flush=True)


if __name__ == "__main__":
    unittest.main()
