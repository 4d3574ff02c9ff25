#!/usr/bin/python3
"""Health checks: what they see is what a client would, because they take the way of the traffic to one backend."""

import os
import signal
import unittest

from lab_case import LabCase
import lab
from lab import config
from lab.clients.tools import HeldConnections, Wrk, curl, http_load
from lab.network import CLIENT, VIP4, VIP6, backend_host
from lab.process import wait_until

UP, DOWN = "BACKEND_HEALTH_UP", "BACKEND_HEALTH_DOWN"
GRPC_PORT = 50051
GRPC_SERVER = os.path.join(os.path.dirname(os.path.abspath(lab.__file__)), "servers", "grpc_health.py")
TLS_PORT = 443
TLS_CONF = """\
daemon off;
master_process off;
pid {directory}/tls.pid;
events {{ }}
http {{
  access_log off;
  server {{
    listen {port} ssl http2;
    server_name www.example.com;
    ssl_certificate {directory}/cert.pem;
    ssl_certificate_key {directory}/key.pem;
    location / {{ return 200 "all good\\n"; }}
  }}
}}
"""
# Far quicker than anybody's: the test waits for verdicts.
QUICK = {"interval_ms": 300, "fast_interval_ms": 150, "timeout_ms": 800, "rise": 2, "fall": 3}


class HealthTest(LabCase):
    BACKENDS = 3
    TUNNELS = True

    def services(self, mode, **check):
        part = config.services({1: 100, 2: 100, 3: 100}, mode=mode, udp=False)
        for pool in part["pools"]:
            pool["health_check"] = {**QUICK, **check}
        return part

    def start(self, services, **node):
        self.services_in_force = services
        super().start(services, **node)

    def reload(self, services):
        self.services_in_force = services
        self.director.reload({"node": self.director.node(), "services": services})

    def _finish(self):
        """Checks go on for ever: without them the director comes to rest."""
        if self.director.process is not None:
            for pool in self.services_in_force["pools"]:
                pool.pop("health_check", None)
                pool.pop("weight_by_load", None)  # what reports load is a check
            self.reload(self.services_in_force)
            wait_until(lambda: not any("check" in status for status in self.director.backends(config.POOL[4]).values()),
                       30, "nothing is checked any more")
        super()._finish()

    def health(self, index, version):
        status = self.backend_status(backend_host(index).role, config.POOL[version])
        return status.get("health_checked", ""), status.get("check", {}).get("reason", "")

    def wait_for(self, wanted, *indexes):
        for version in (4, 6):
            for index in indexes:
                wait_until(lambda v=version, i=index: self.health(i, v)[0] == wanted, 30,
                           f"backend-{index} is {wanted} by IPv{version}")

    def assert_reachable_by_itself(self, index):
        """Its own address accepts connections: a check that went there would find nothing wrong."""
        answer = curl(self.client, f"http://{backend_host(index).ipv4}/")
        self.assertEqual(answer.strip(), f"backend-{index}")

    def assert_only(self, *indexes):
        """New connections go to these, all are answered, and nobody else gets any."""
        self.wait_for_workers()
        for version in (4, 6):
            report = http_load(self.client, config.VIP[version], 300)
            self.assert_all_answered(report)
            self.assertEqual(set(report["by_backend"]), {f"backend-{index}" for index in indexes})

    def assert_weights(self, weights):
        """What clients see of them."""
        self.wait_for_workers()
        report = http_load(self.client, VIP4, 1200)
        self.assert_all_answered(report)
        self.assert_shares(report["by_backend"], weights, points=5)

    def test_tunnel(self):
        """IPIP: a server that is stopped, and an agent that takes no tunnels off."""
        self.start(self.services("ipip", type="http", path="/", status=["200"]))
        self.wait_for(UP, 1, 2, 3)
        self.assert_only(1, 2, 3)

        self.lab.backends.nginx["backend-1"].kill()
        self.wait_for(DOWN, 1)
        self.assertEqual(self.health(1, 4)[1], f"connect to {VIP4}:80 on {backend_host(1).ipv4}: refused")
        self.assert_only(2, 3)

        agent = self.lab.backends.agents.pop("backend-2")
        agent.send_signal(signal.SIGTERM)
        agent.wait(10)
        self.wait_for(DOWN, 2)
        self.assertEqual(self.health(2, 6)[1],
                         f"connect to [{VIP6}]:80 on {backend_host(2).ipv6}: nothing within {QUICK['timeout_ms']} ms")
        self.assert_reachable_by_itself(2)
        self.assert_only(3)

        del self.lab.backends.nginx["backend-1"]
        self.lab.backends.start_nginx()
        self.lab.backends.start_agent("backend-2")
        self.wait_for(UP, 1, 2)
        self.assert_only(1, 2, 3)
        workers = self.director.ctl("get", "workers")["workers"]
        self.assertGreater(sum(int(worker["probes"]) for worker in workers), 50)
        text = self.director.ctl_text("get", "backends", "-o", "wide")
        self.assertIn("HTTP status 200", text)

    def test_l2(self):
        """L2: a VIP that is missing from a server's lo, and a request that is not answered as wanted."""
        services = self.services("l2", type="tcp")
        self.start(services)
        self.wait_for(UP, 1, 2, 3)
        backend = self.lab.network.backends["backend-3"]
        backend.ip(f"address del {VIP4}/32 dev lo", f"address del {VIP6}/128 dev lo")
        self.addCleanup(backend.ip, f"address replace {VIP4}/32 dev lo", f"address replace {VIP6}/128 dev lo nodad")
        self.wait_for(DOWN, 3)
        # What the backend's kernel answers to a packet that is not for it.
        self.assertIn(self.health(3, 6)[1].partition(" on 2001:db8::13: ")[2],
                      ("answered with: no route to the destination", "nothing within 800 ms"))
        self.assert_reachable_by_itself(3)
        self.assert_only(1, 2)

        # What is known stays when the check is another one.
        for pool in services["pools"]:
            pool["health_check"].update(type="http", path="/missing")
        self.reload(services)
        self.wait_for(DOWN, 1, 2)
        self.assertEqual(self.health(1, 4)[1], "HTTP status 404, wanted 200-299")
        backend.ip(f"address replace {VIP4}/32 dev lo", f"address replace {VIP6}/128 dev lo nodad")
        for pool in services["pools"]:
            pool["health_check"]["path"] = "/"
        self.reload(services)
        self.wait_for(UP, 1, 2, 3)
        self.assert_only(1, 2, 3)

        # Who comes back starts slowly; who tells of more load than others gets less.
        pool = services["pools"][0]
        pool["slow_start_s"] = 600
        self.reload(services)
        wait_until(lambda: "slow_start_s: 600" in self.director.ctl_text("export"), 30, "the pool starts slowly")
        for word in ("down", "up"):
            self.director.ctl("backend", word, config.POOL[4], "backend-2")
        self.assertEqual(self.backend_status("backend-2")["slow_start_percent"], 9)
        self.assert_weights({1: 100, 2: 9, 3: 100})
        pool.update(slow_start_s=1, weight_by_load=True, weight_floor_percent=64)
        pool["health_check"]["path"] = "/load"
        self.reload(services)

        def percents(what):
            status = self.director.backends(config.POOL[4])
            return [status[f"backend-{i}"][f"{what}_percent"] for i in (1, 2, 3)]

        wait_until(lambda: percents("slow_start") == [100, 100, 100], 60, "the slow start is over")
        # A fifth less in a round, and a fifth of that in the next, which is the least that is wanted here.
        wait_until(lambda: percents("load")[0] == 64, 60, "backend-1 has less by its load")
        self.assertEqual(percents("load")[1:], [100, 100])
        self.assert_weights({1: 64, 2: 100, 3: 100})
        loads = {dict(labels)["backend"]: value for (name, labels), value in self.director.metrics().items()
                 if name == "sluice_backend_load_ratio"}
        self.assertEqual({name: round(value, 3) for name, value in loads.items()},
                         {"backend-1": 0.9, "backend-2": 0.3, "backend-3": 0.3})

    def test_under_load(self):
        """A server that is killed while it has connections, and comes back, and an echo that stays out: clients lose
        what they had there, and nothing once the verdict is in."""
        services = self.services("l2", type="http", path="/", status=["200"])
        self.start(services)
        self.wait_for(UP, 1, 2, 3)
        held = HeldConnections(self.client, VIP4, 30)
        on_it = held.status()["by_backend"]["backend-1"]["open"]
        self.assertGreater(on_it, 0)
        load = Wrk(self.client, VIP4, 60, name="wrk-killed")
        self.lab.backends.nginx.pop("backend-1").kill()
        self.wait_for(DOWN, 1)
        self.wait_for_workers()
        # What the load asked of it until now may have failed; what is asked from now on may not.
        self.assertGreater(load.stop()["requests"], 0)
        load = Wrk(self.client, VIP4, 60, name="wrk-revived")
        self.assert_only(2, 3)
        self.lab.backends.start_nginx()
        self.wait_for(UP, 1)
        self.assert_only(1, 2, 3)
        report = load.stop()
        self.assertEqual(report["failed"], 0, report["text"])
        lost = held.stop()["failures"]
        self.assertEqual((len(lost), [text for text in lost if "connection to backend-1 " not in text]), (on_it, []))

        for pool in services["pools"]:
            pool["health_check"] = {**QUICK, "type": "icmp"}
        self.reload(services)
        self.wait_for_check("icmp")
        load = Wrk(self.client, VIP4, 60, name="wrk-deaf")
        deaf = self.lab.network.backends["backend-2"]
        deaf.run(["sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1"])
        self.addCleanup(deaf.run, ["sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=0"])
        wait_until(lambda: self.health(2, 4)[0] == DOWN, 30, "the backend without an echo is down")
        self.assertEqual(self.health(2, 6)[0], UP)
        self.wait_for_workers()
        report = http_load(self.client, VIP4, 300)
        self.assert_all_answered(report)
        self.assertEqual(set(report["by_backend"]), {"backend-1", "backend-3"})
        deaf.run(["sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=0"])
        self.wait_for(UP, 2)
        self.assert_only(1, 2, 3)
        report = load.stop()
        self.assertEqual(report["failed"], 0, report["text"])

    def test_ports_of_dead_connections(self):
        """What a server resets as it dies, the director does not see: who connects from such a port again gets another
        server."""
        self.start(self.services("l2", type="tcp"))
        self.wait_for(UP, 1, 2, 3)
        held = HeldConnections(self.client, VIP4, 30)
        ports = {c["port"] for c in held.connections() if c["backend"] == "backend-1"}
        self.assertGreater(len(ports), 0)
        # Its kernel resets connections of which it has not read everything, and ends others in good order.
        nginx = self.lab.backends.nginx.pop("backend-1")
        self.addCleanup(self.lab.backends.start_nginx)
        nginx.send_signal(signal.SIGSTOP)
        backend = self.lab.network.backends["backend-1"]

        def unread():
            sockets = backend.run(["ss", "-Htn", "state", "established", f"src {VIP4}:80"]).stdout.splitlines()
            return {int(line.split()[3].rpartition(":")[2]) for line in sockets if int(line.split()[0]) > 0}

        wait_until(lambda: unread() >= ports, 30, "requests that backend-1 has not read on all its connections")
        nginx.kill()
        self.wait_for(DOWN, 1)
        self.wait_for_workers()
        wait_until(lambda: len(held.status()["failures"]) == len(ports), 30, "the connections have failed")

        def left_behind(port):
            entry = self.director.ctl("explain", "tcp", f"{CLIENT.ipv4}:{port}", f"{VIP4}:80")["entry"]
            self.assertEqual((entry["backend"], entry["state"]), ("backend-1", "established"))
            return int(entry.get("idle_s", 0)) > 0

        wait_until(lambda: all(map(left_behind, ports)), 30, "nothing is heard of the connections")
        answers = {curl(self.client, f"http://{VIP4}/", options=("--local-port", str(port))).strip() for port in ports}
        self.assertLessEqual(answers, {"backend-2", "backend-3"})

    def wait_for_check(self, kind):
        """Until all backends were found up by checks of this kind."""
        def found():
            statuses = [self.backend_status(backend_host(index).role, config.POOL[version]).get("check", {})
                        for version in (4, 6) for index in (1, 2, 3)]
            return all(kind in status.get("check", "").lower() and int(status.get("passed", 0)) > 0
                       for status in statuses)

        wait_until(found, 30, f"all backends have passed a check by {kind}")

    def start_tls(self, index):
        """nginx with TLS and HTTP/2 beside the plain one; its certificate signs itself."""
        role = backend_host(index).role
        directory = os.path.join(self.lab.run.directory, f"tls-{role}")
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "tls.conf"), "w", encoding="utf-8") as file:
            file.write(TLS_CONF.format(directory=directory, port=TLS_PORT))
        namespace = self.lab.network.backends[role]
        namespace.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                       "-days", "2", "-subj", "/CN=www.example.com", "-addext", "subjectAltName=DNS:www.example.com",
                       "-keyout", f"{directory}/key.pem", "-out", f"{directory}/cert.pem"])
        process = namespace.start(f"tls-{role}", ["nginx", "-p", directory, "-c", f"{directory}/tls.conf",
                                                  "-e", f"{directory}/error.log"])
        self.addCleanup(process.kill)
        return process, f"{directory}/cert.pem"

    def start_grpc(self, index, status):
        role = backend_host(index).role
        path = os.path.join(self.lab.run.directory, f"grpc-{role}.status")
        with open(path, "w", encoding="utf-8") as file:
            file.write(status)
        process = self.lab.network.backends[role].start(
            f"grpc-{role}", ["/usr/bin/python3", GRPC_SERVER, str(GRPC_PORT), path])
        self.addCleanup(process.kill)
        return path

    def pool(self, services):
        """IPv4 alone: the families differ in nothing here."""
        return services["pools"][0]

    def wait_for_v4(self, index, wanted, reason):
        wait_until(lambda: self.health(index, 4) == (wanted, reason), 30,
                   f"backend-{index} is {wanted}: {reason}; it is {self.health(index, 4)}")

    def test_tls_and_grpc(self):
        """HTTPS with HTTP/2 and a verified certificate, and gRPC's health protocol, to the VIP of a tunnel."""
        _, ca_file = self.start_tls(1)
        services = config.services({1: 100, 2: 100}, mode="ipip", udp=False, versions=(4,))
        self.pool(services)["health_check"] = {
            **QUICK, "type": "https", "port": TLS_PORT, "http2": True, "server_name": "www.example.com",
            "ca_file": ca_file, "body": "all good"}
        self.start(services)
        self.wait_for_v4(1, UP, "HTTP status 200")
        self.wait_for_v4(2, DOWN, f"connect to {VIP4}:{TLS_PORT} on {backend_host(2).ipv4}: refused")
        # A certificate that somebody else has signed.
        process, _ = self.start_tls(2)
        wait_until(lambda: "certificate" in self.health(2, 4)[1], 30, "the certificate is refused")
        process.kill()

        status = self.start_grpc(1, "SERVING")
        self.start_grpc(2, "NOT_SERVING")
        self.pool(services)["health_check"] = {**QUICK, "type": "grpc", "port": GRPC_PORT, "service": "lab.Echo"}
        self.reload(services)
        self.wait_for_v4(1, UP, "gRPC health SERVING")
        self.wait_for_v4(2, DOWN, "gRPC health NOT_SERVING")
        with open(status, "w", encoding="utf-8") as file:
            file.write("NOT_SERVING")
        self.wait_for_v4(1, DOWN, "gRPC health NOT_SERVING")


if __name__ == "__main__":
    unittest.main()
