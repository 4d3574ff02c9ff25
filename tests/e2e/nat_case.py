"""What the end-to-end tests of address translation share: a lab whose backends know no VIP, and traffic through it."""

import os
import sys

import lab_case
from lab import config
from lab.clients.tools import Downloads, HeldConnections, curl, http_load
from lab.backends import UDP_PORT
from lab.director import number
from lab.network import CLIENT, DIRECTOR, INTERFACE, backend_host
from lab.process import wait_until

_SERVERS = os.path.join(os.path.dirname(os.path.abspath(sys.modules["lab"].__file__)), "servers")


def url(version, path):
    vip = config.VIP[version]
    return f"http://[{vip}]{path}" if version == 6 else f"http://{vip}{path}"


class NatCase(lab_case.LabCase):
    MODE = None
    BACKENDS = 3

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for role, namespace in cls.lab.network.backends.items():
            # With NAT a backend needs no VIP.
            namespace.ip(f"address del {config.VIP[4]}/32 dev lo", f"address del {config.VIP[6]}/128 dev lo")
            index = int(role.rpartition("-")[2])
            cls.prepare_backend(namespace, index)
            host = backend_host(index)
            server = namespace.start(f"udp-{role}", ["/usr/bin/python3", os.path.join(_SERVERS, "udp_echo.py"), role,
                                                     str(UDP_PORT), host.ipv4, host.ipv6])
            cls.addClassCleanup(server.kill)
            wait_until(lambda n=namespace: f":{UDP_PORT} " in n.run(["ss", "-Huln"]).stdout, 10, "the echo listens")

    @classmethod
    def prepare_backend(cls, namespace, index):
        """What the mode needs of a backend."""

    def services(self, weights, **fields):
        services = config.services(weights, mode=self.MODE)
        for version in (4, 6):
            services["vips"].append(lab_case.iperf_vip(version, mode=self.MODE))
        for vip in services["vips"]:
            vip.update(fields)
        return services

    # ---- traffic, each in both families

    def check_requests_and_transfers(self):
        for version in (4, 6):
            with self.subTest(ip=version):
                vip = config.VIP[version]
                self.assert_all_answered(http_load(self.client, vip, 300))
                self.assert_downloads(Downloads(self.client, vip, 1, name=f"download{version}").finish())
                self.assert_upload(version, f"{self.MODE}{version}")

    def seen_by_backend(self, version):
        return curl(self.client, url(version, "/client")).split()

    def resolve_client(self, version):
        """The client is on link, and the kernel asks for its MAC address when the first answer for it comes, which is
        lost: TCP sends it again, a datagram would be missed."""
        curl(self.client, url(version, "/"))

    @staticmethod
    def client_address(version):
        return CLIENT.address(version)

    # ---- changes while connections are held

    def check_changes(self, pools=config.POOL):
        """Adds, drains, undrains and removes backends under held connections and long downloads; none is broken."""
        held = [HeldConnections(self.client, config.VIP[version], 30, name=f"held{version}") for version in (4, 6)]
        downloads = Downloads(self.client, config.VIP[4], 3, bytes_per_second=4 << 20)

        def change(action):
            action()
            self.wait_for_workers()
            for connections in held:
                self.assert_all_speak(connections)

        for version in (4, 6):
            host = backend_host(3)
            pool = pools[version]
            change(lambda p=pool, v=version: self.director.ctl("backend", "add", p, host.role, host.address(v)))
            change(lambda p=pool: self.director.ctl("backend", "drain", p, "backend-1"))
            report = http_load(self.client, config.VIP[version], 500)
            self.assert_all_answered(report)
            self.assertNotIn("backend-1", report["by_backend"])
            self.assertIn("backend-3", report["by_backend"])
        for connections in held:
            connections.close("backend-1")
        self.assert_downloads(downloads.finish())
        for version in (4, 6):
            pool = pools[version]
            self.wait_for_no_flows("backend-1", pool)
            change(lambda p=pool: self.director.ctl("backend", "remove", p, "backend-1"))
            self.assert_all_answered(http_load(self.client, config.VIP[version], 300))
        for connections in held:
            self.assert_held(connections.stop())

    def assert_all_speak(self, held):
        """Every held connection gets an answer after this moment, and none is broken."""
        before = held.status()
        self.assert_held(before)

        def spoke():
            now = held.status()
            self.assert_held(now)
            return now["requests"] >= before["requests"] + 2 * before["open"]

        wait_until(spoke, 20, "two more answers for each held connection")

    def workers(self):
        return self.director.ctl("get", "workers")["workers"]

    def total(self, *path):
        """A counter of the workers, summed."""
        total = 0
        for worker in self.workers():
            for key in path[:-1]:
                worker = worker.get(key, {})
            total += number(worker, path[-1])
        return total


def route_through_director(namespace):
    """Destination NAT: what a backend sends to the client must pass the director."""
    namespace.ip(f"route add {CLIENT.ipv4}/32 via {DIRECTOR.ipv4} dev {INTERFACE}",
                 f"route add {CLIENT.ipv6}/128 via {DIRECTOR.ipv6} dev {INTERFACE}")
