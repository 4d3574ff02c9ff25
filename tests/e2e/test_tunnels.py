#!/usr/bin/python3
"""Tunnels of every kind in every mix of families, over links of MTU 1500, to backends with the stock kernel and the
agent: what the client sends fits the tunnel from the first segment on, or the client is told."""

import unittest

from lab_case import IPERF_PORT, LabCase
from lab import config
from lab.clients.tools import Downloads, http_load, ping
from lab.network import INTERFACE

OTHER = {4: 6, 6: 4}
KINDS = ("ipip", "gue", "gue-direct", "gre")


def mixed(services):
    """The VIPs of each family over the pool of the other."""
    for vip in services["vips"]:
        version = 6 if vip["pool"] == config.POOL[6] else 4
        vip["pool"] = config.POOL[OTHER[version]]
    return services


class TunnelCase(LabCase):
    TUNNELS = True

    def check_transfers(self):
        """Requests, downloads and uploads of both families; contents by hash."""
        for version in (4, 6):
            with self.subTest(ip=version):
                self.forget_path_mtu()
                vip = config.VIP[version]
                self.assert_all_answered(http_load(self.client, vip, 300))
                self.assert_downloads(Downloads(self.client, vip, 1, name=f"download{version}").finish())
                self.assert_upload(version, str(version))

    def forget_path_mtu(self):
        for family in ("-4", "-6"):
            self.client.run(["ip", family, "route", "flush", "cache"])

    def answers(self, kind):
        workers = self.director.ctl("get", "workers")["workers"]
        return sum(int(worker["answers"].get(kind, 0)) for worker in workers)

    def counted_during(self, action):
        """What the agents counted meanwhile: {name: number} without those that stayed."""
        before = self.lab.backends.agent_counters()
        action()
        self.director.totals_at_rest()
        after = self.lab.backends.agent_counters()
        return {name: after[name] - before[name] for name in after if after[name] != before[name]}


class TunnelsTest(TunnelCase):
    def check_mode(self, mode, change=lambda services: services):
        self.start(change(config.services({1: 100, 2: 100}, mode=mode, udp=False)))
        counted = self.counted_during(self.check_transfers)
        # Every packet came out of a tunnel of this kind, and the first segments fitted already.
        packets = int(self.director.totals_at_rest()["forwarded"])
        self.assertEqual(counted.pop(f"{mode.replace('-', '_')}_packets"), packets, counted)
        self.assertGreater(counted.pop(f"{mode.replace('-', '_')}_bytes"), 2 * 24 * 1024 * 1024)
        # A connection each for 300 requests, a download and an upload, by each family.
        self.assertEqual(counted.pop("syn_acks_clamped"), 2 * 302)
        self.assertEqual(counted, {})
        self.assertEqual(self.answers("packet_too_big"), 0)

    def test_each_kind(self):
        for mode in KINDS:
            with self.subTest(mode=mode):
                self.check_mode(mode)
                self._finish()

    def test_each_kind_over_the_other_family(self):
        for mode in KINDS:
            with self.subTest(mode=mode):
                self.check_mode(mode, mixed)
                self._finish()


class Iperf3Test(TunnelCase):
    def test_ipip_and_gue(self):
        for mode in ("ipip", "gue"):
            services = config.services({1: 100}, mode=mode, udp=False)
            for vip in services["vips"]:
                vip["port"] = IPERF_PORT
            self.start(services)
            self.check_iperf3(mode)
            self.assertEqual(self.answers("packet_too_big"), 0)
            self._finish()


class WithoutMssClampTest(TunnelCase):
    AGENT_OPTIONS = ("--no-mss-clamp",)

    def test_the_client_is_told_the_path_mtu(self):
        self.start(config.services({1: 100, 2: 100}, mode="gue", udp=False))
        self.check_transfers()
        # The clients began with full segments: they were told the tunnel's MTU, once a family and destination at least.
        self.assertGreaterEqual(self.answers("packet_too_big"), 2)


class OldKernelTest(TunnelCase):
    """The way for kernels before 6.3, on which packets of the other family enter the interface again."""

    AGENT_OPTIONS = ("--family-change", "redirect")

    def test_mixed_families(self):
        for mode in ("ipip", "gue"):
            with self.subTest(mode=mode):
                self.start(mixed(config.services({1: 100, 2: 100}, mode=mode, udp=False)))
                counted = self.counted_during(self.check_transfers)
                self.assertEqual(counted[f"{mode}_packets"], int(self.director.totals_at_rest()["forwarded"]))
                self.assertEqual(self.answers("packet_too_big"), 0)
                self._finish()


class OffloadsTest(TunnelCase):
    """Backends whose interfaces leave checksums and segments to the other end, and put received packets together."""

    def setUp(self):
        for role, namespace in self.lab.network.backends.items():
            on = [word for feature in ("tx", "rx", "tso", "gso", "gro") for word in (feature, "on")]
            namespace.run(["ethtool", "-K", INTERFACE, *on])
            self.lab.network.switch.run(["ethtool", "-K", role, "rx", "on", "gro", "on"])
            # Packets come one by one here; without a little patience none would meet another.
            for name, value in (("gro_flush_timeout", 500_000), ("napi_defer_hard_irqs", 20)):
                namespace.run(["tee", f"/sys/class/net/{INTERFACE}/{name}"], stdin=str(value))

    def check_mode(self, mode, change=lambda services: services):
        self.start(change(config.services({1: 100, 2: 100}, mode=mode, udp=False)))
        counted = self.counted_during(self.check_transfers)
        self.assertEqual({name for name in counted if name.startswith("drop_")}, set(), counted)
        self.assertEqual(self.answers("packet_too_big"), 0)
        self._finish()
        return counted

    def test_ipip_in_super_packets(self):
        """The kernel's GRO knows IP in IP: the program gets super-packets of up to 64 kB."""
        for change in (lambda services: services, mixed):
            counted = self.check_mode("ipip", change)
            self.assertGreater(counted.get("aggregated", 0), 100)
            self.assertLess(counted["ipip_packets"], 50_000)

    def test_gue_and_gre(self):
        for mode in ("gue", "gue-direct", "gre"):
            with self.subTest(mode=mode):
                self.check_mode(mode)

    def test_gue_over_the_other_family(self):
        self.check_mode("gue", mixed)


class EchoTest(LabCase):
    def test_vips_answer_echo_requests(self):
        services = config.services({1: 100}, udp=False)
        self.start(services)
        for version in (4, 6):
            for size in (56, 1400):
                self.assertEqual(ping(self.client, config.VIP[version], 3, size=size), 3)


if __name__ == "__main__":
    unittest.main()
