#!/usr/bin/python3
"""A real Prometheus scrapes the lab under traffic and forced faults: every query of every dashboard's panel returns
data, not zero where the lab forces what it counts, and every alert fires."""

import json
import pathlib
import re
import subprocess
import sys
import unittest

from lab_case import LabCase
from lab import config
from lab.backends import UDP_PORT
from lab.clients.tools import HeldConnections, Wrk, http_load, ping
from lab.director import Director
from lab.hold_thread import held
from lab.lab import default_binaries
from lab.network import CLIENT, DIRECTOR, DIRECTOR_2, INTERFACE, VIP4, VIP6
from lab.process import wait_until
from lab.prometheus import Prometheus, quick_rules

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "grafana"))
# pylint: disable=wrong-import-position
import dashboards

TABLE = 1024  # entries of each table: fewer than a flood has flows
NAT_PORT = 8080
OWNED_PORT = 8081
CHECKED_PORT = 8082
COOKIE_PORT = 8083
NAT = {"local_addresses": ["192.0.2.3"], "local_ports": "20000-20031"}
SPARE = "tap-spare"  # a second port, whose link the test takes away
DASHBOARD_VALUES = {"__rate_interval": "20s", "job": "sluice"}  # of the dashboards' variables; of others: all

# Panels' queries that stay at zero here, because the lab has no such fault: by a metric in them.
STAYS_ZERO = {
    "sluice_port_rx_no_buffer_total": "no device of the lab counts it",
    "sluice_port_rx_errors_total": "no device of the lab counts it",
    "sluice_port_rx_missed_total": "no device of the lab counts it",
    "sluice_worker_copies_no_buffer_total": "there are buffers enough",
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

    def configuration(self, workers=1, checks=True):
        services = config.services({1: 100, 2: 100, 3: 100})
        web, web6 = services["pools"]
        web["panic_threshold_percent"] = 50
        web6["backup"] = "spare6"
        checked = {"name": "checked", "slow_start_s": 2, "backends": [config.backend(1), config.backend(2)]}
        if checks:
            checked["health_check"] = {"type": "http", "port": 80, "path": "/overload", "interval_ms": 500, "rise": 1,
                                       "fall": 1}
        services["pools"] += [{"name": "nat", "backends": [config.backend(1, port=80)]},
                              {"name": "spare6", "backends": [config.backend(2, 6)]}, checked]
        services["vips"].append({"name": "checked", "address": VIP4, "protocol": "tcp", "port": CHECKED_PORT,
                                 "pool": "checked"})
        services["pools"].append({"name": "named", "backends": [
            config.backend(index, cookie_id=index) for index in (1, 2, 3)]})
        services["vips"].append({"name": "cookies", "address": VIP4, "protocol": "tcp", "port": COOKIE_PORT,
                                 "pool": "named", "mode": "gue", "consistency": "cookie"})
        services["cookie_keys"] = [{"number": 0, "file": self.cookie_key("cookie.key", 1)}]
        for mode, port in (("full-nat", NAT_PORT), ("nat", OWNED_PORT)):
            services["vips"].append({"name": mode, "address": VIP4, "protocol": "tcp", "port": port, "pool": "nat",
                                     "mode": mode})
        node = self.director.node(workers=workers, nat=NAT, tables={"connections_v4": TABLE, "connections_v6": TABLE})
        node["api"]["tcp"] = {"listen": "127.0.0.1:9443", **self.certificate()}
        node["ports"].append({"name": "spare", "devices": [f"net_tap0,iface={SPARE}"], "exception": {"enabled": False}})
        return {"node": node, "services": services}

    def certificate(self):
        """One that ends soon."""
        paths = {name: f"{self.lab.run.directory}/api.{name}" for name in ("key", "certificate")}
        if not pathlib.Path(paths["certificate"]).exists():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-days", "2", "-subj", "/CN=sluiced", "-keyout", paths["key"], "-out",
                            paths["certificate"]], check=True, capture_output=True, timeout=20)
        return {**paths, "client_ca": paths["certificate"]}

    def cookie_key(self, name, byte):
        path = pathlib.Path(self.lab.run.directory, name)
        path.write_text(bytes([byte] * 16).hex() + "\n", encoding="ascii")
        return str(path)

    def setUp(self):
        self.start_configuration(self.configuration())
        self.director.namespace.ip(f"link set {SPARE} up")
        self.prometheus = Prometheus(self.lab.run, self.director.namespace)
        self.addCleanup(self.prometheus.stop)

    def _finish(self):
        """Checks go on for ever: without them the director comes to rest."""
        if self.director.process is not None:
            self.director.reload(self.configuration(workers=2, checks=False))
            wait_until(lambda: not any("check" in status for status in self.director.backends("checked").values()),
                       60, "nothing is checked any more")
        super()._finish()

    def flood(self, *options, seconds=8, rate=8000):
        return self.client.start("flood", [
            "/usr/bin/python3", str(ROOT / "tools" / "lab" / "clients" / "flood.py"), "--interface", INTERFACE, "--mac",
            DIRECTOR.mac, "--rate", str(rate), "--seconds", str(seconds), *map(str, options)], stdout=subprocess.PIPE)

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

    def certificate_that_ends(self):
        self.prometheus.wait_fired("SluiceCertificateExpires")

    def director_that_reads_cookies_differently(self):
        """Another one of the job, with another key."""
        other = Director(self.lab.run, self.director.namespace, default_binaries(), DIRECTOR_2)
        services = self.configuration()["services"]
        services["cookie_keys"][0]["file"] = self.cookie_key("other.key", 2)
        port = {"name": "wan", "devices": ["net_null0"], "addresses": ["198.51.100.2/24"],
                "exception": {"enabled": False}}
        other.start({"node": other.node(ports=[port], nat=NAT,
                                        metrics={"listen": f"127.0.0.1:{config.METRICS_PORT + 1}"}),
                     "services": services})
        try:
            self.prometheus.scrape(config.METRICS_PORT, config.METRICS_PORT + 1)
            self.prometheus.wait_fired("SluiceCookiesDisagree")
        finally:
            self.prometheus.scrape(config.METRICS_PORT)
            other.kill()

    def resets_that_name_nobody(self):
        """More than are copied to all backends within a second."""
        flood = self.flood("--target", VIP4, "--port", COOKIE_PORT, "--flags", 4, seconds=3)
        flood.popen.communicate()

    def overload(self):
        """Said by their health checks."""
        self.prometheus.wait_fired("SluiceBackendOverloaded")

    def drains(self):
        """One that goes on beyond its deadline, and the whole node."""
        connections = HeldConnections(self.client, VIP6, 20, name="drained")
        self.director.ctl("drain", "web6/backend-1", "--deadline", "3s")
        self.prometheus.wait_fired("SluiceDrainUnfinished")
        self.director.ctl("undrain", "web6/backend-1")
        connections.stop()
        self.director.ctl("drain", "node", "--deadline", "1s")
        self.prometheus.wait_fired("SluiceNodeWithdrawn")
        self.director.ctl("undrain", "node")

    def backends_that_are_down(self):
        for pool, names, alert in (("web", (2, 3), "SluicePoolInPanic"), ("web6", (1, 2, 3), "SluicePoolUsesBackup")):
            for index in names:
                self.director.ctl("backend", "down", pool, f"backend-{index}", "--reason", "test")
            self.prometheus.wait_fired(alert, "SluiceBackendDown")
            for index in names:
                self.director.ctl("backend", "up", pool, f"backend-{index}")

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
        """Connections that were answered keep their local ports, of which there are 32."""
        connections = []
        for _ in range(40):
            connections.append(self.client.socket())
            connections[-1].settimeout(2)
            try:
                connections[-1].connect((VIP4, NAT_PORT))
                connections[-1].sendall(b"GET / HTTP/1.1\r\nHost: vip\r\n\r\n")
                connections[-1].recv(4096)
            except TimeoutError:
                pass  # there was none left
        self.prometheus.wait_fired("SluiceNatExhausted")
        for connection in connections:
            connection.close()

    def changes_are_refused(self):
        """The first sixteen changes wait for the worker, the next is refused."""
        return any(self.director.ctl_run("backend", verb, "web", "backend-1", check=False).returncode != 0
                   for verb in ("drain", "undrain") * 10)

    def worker_that_stands_still(self):
        pid = self.director.process.pid
        flood = self.flood("--target", VIP4, "--port", UDP_PORT, "--protocol", "udp", "--frames", 64, seconds=60)
        for _ in range(20):
            with held(pid, "rte-worker"):
                if not self.changes_are_refused():
                    continue  # it was caught asleep, where nothing waits for it
                self.prometheus.wait_fired("SluiceWorkerStalled", "SluiceStateNotInUse", "SluiceChangesRefused")
                break
        flood.popen.kill()
        flood.popen.communicate()
        self.director.ctl_run("backend", "undrain", "web", "backend-1", check=False)
        with held(pid, "sluice-host"):
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
        self.director.start(self.configuration(workers=2))
        self.director.namespace.ip(f"link set {SPARE} up")
        self.prometheus.wait_fired("SluiceRestarted")
        moved = 'sum(sluice_connections_moved_total{cause="director_change"})'
        wait_until(lambda: self.prometheus.query(moved)[0][1] > 0, 30, "connections of before are seen")
        connections.stop()

    def worker_that_leaves_the_other_alone(self):
        """After the restart there are two, and with destination NAT each client has one that owns it. What belongs to
        the second, which stands still, and came to the first, is lost."""
        flood = self.flood("--target", VIP4, "--port", OWNED_PORT, "--protocol", "tcp", seconds=60)
        with held(self.director.process.pid, "rte-worker-2"):
            self.prometheus.wait_fired("SluicePacketsLost")
        flood.popen.kill()
        flood.popen.communicate()

    def test_every_panel_has_data_and_every_alert_fires(self):
        queries = panel_queries()
        self.prometheus.watch_queries(queries)
        self.traffic()
        self.assertLessEqual(self.prometheus.firing(), {"SluiceBackendOverloaded", "SluiceCertificateExpires"},
                             "nothing else is wrong yet")
        for happening in (self.certificate_that_ends, self.director_that_reads_cookies_differently,
                          self.resets_that_name_nobody, self.pool_without_backends, self.overload, self.drains,
                          self.backends_that_are_down, self.backend_removed_with_connections,
                          self.backend_that_is_not_there, self.nat_without_ports, self.floods, self.port_without_link,
                          self.file_that_is_wrong, self.worker_that_stands_still, self.process_that_ends,
                          self.worker_that_leaves_the_other_alone):
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
