#!/usr/bin/python3
"""Cookies in TCP timestamps, put in and taken out by the agent on a backend with a stock kernel: the bits on the wire,
transfers of both families, SYN cookies, offloads."""

import json
import os
import signal
import socket as socketlib
import unittest

from scapy.all import IP, TCP, IPv6, rdpcap

from lab_case import LabCase
from cookie_case import SECRET, cookie
from lab import config
from lab.clients.tools import Downloads, HeldConnections, http_load
from lab.director import number
from lab.network import INTERFACE, VIP4, VIP6
from lab.process import run, wait_until

BACKEND = 1234
# IPv4 with coarse ticks and check bits, IPv6 with a key's bit and an id only.
LAYOUT = {4: cookie.Layout(key=1, tier=0, backend=11, check=2, clock=6),
          6: cookie.Layout(key=1, tier=0, backend=11, check=0, clock=4)}
VIP = {4: VIP4, 6: VIP6}


def agent_configuration(key_path, layouts, idle_s=7200):
    """A file for --config, as text."""
    lines = ["cookies:", f"  keys: [{{number: 1, file: {key_path}}}]", "  vips:"]
    for version, layout in layouts.items():
        lines.append(f"    - {{vip: '{VIP[version]}', port: 80, backend: {BACKEND}, key: 1, key_bits: {layout.key}, "
                     f"tier_bits: {layout.tier}, backend_bits: {layout.backend}, check_bits: {layout.check}, "
                     f"clock_bits: {layout.clock}, idle_s: {idle_s}}}")
    return "\n".join(lines) + "\n"


def kernel_counter(namespace, name):
    """A counter of nstat(8)."""
    for line in namespace.run(["nstat", "-asz", name]).stdout.splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise AssertionError(f"{name}: no such counter")


class CookieCase(LabCase):
    TUNNELS = True
    BACKENDS = 1
    MODE = "gue"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.network.keep_order()
        cls.backend = cls.lab.network.backends["backend-1"]
        cls.key_path = os.path.join(cls.lab.run.directory, "cookie.key")
        with open(cls.key_path, "w", encoding="ascii") as file:
            file.write(SECRET.hex() + "\n")

    def use_cookies(self, layouts, **options):
        """The agent with these layouts, and the director before it."""
        path = os.path.join(self.lab.run.directory, "backend.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(agent_configuration(self.key_path, layouts, **options))
        self.lab.backends.agents.pop("backend-1").stop()
        self.lab.backends.start_agent("backend-1", "--config", path)
        self.start(config.services({1: 100}, mode=self.MODE, udp=False))

    def counters(self):
        return self.lab.backends.agent_status("backend-1")["counters"]


class CookieTest(CookieCase):
    def setUp(self):
        self.use_cookies(LAYOUT)
        self.before = self.counters()

    def check_transfers(self):
        for version in (4, 6):
            self.assert_all_answered(http_load(self.client, VIP[version], 200))
            self.assert_downloads(Downloads(self.client, VIP[version], 3, name=f"download{version}").finish())
        self.director.totals_at_rest()
        counted = {name: value - self.before[name] for name, value in self.counters().items()}
        self.assertEqual(counted["cookies_made"], 2 * 203)
        self.assertEqual(counted["cookie_foreign"], 0)
        # Every packet of the clients but the SYNs and RSTs echoes a timestamp.
        self.assertGreaterEqual(counted["cookie_echoes"], counted["gue_packets"] - 2 * 203 - 10)
        # Between two ticks the clock in the packets moves by many of the kernel's milliseconds, so a segment that
        # overtakes another there looks old to the receiver and is sent again. The lab keeps their order, but not that
        # of a process and its timers on another CPU. An encoding that goes backwards would make it drop a large part.
        for namespace in (self.client, self.backend):
            self.assertLessEqual(kernel_counter(namespace, "TcpExtPAWSEstab"), counted["cookie_echoes"] // 500)

    def test_transfers(self):
        status = self.lab.backends.agent_status("backend-1")
        self.assertEqual(status["cookie_vips"], 2)
        self.check_transfers()
        # The key is told to the kernel alone.
        for told in (json.dumps(status), self.lab.backends.agents["backend-1"].log()):
            self.assertNotIn(SECRET.hex(), told.lower())

    def test_transfers_with_offloads(self):
        on = [word for feature in ("tx", "rx", "tso", "gso", "gro") for word in (feature, "on")]
        off = [word if word != "on" else "off" for word in on]
        self.backend.run(["ethtool", "-K", INTERFACE, *on])
        self.addCleanup(self.backend.run, ["ethtool", "-K", INTERFACE, *off])
        self.check_transfers()

    def test_the_bits_on_the_wire(self):
        path = os.path.join(self.lab.run.directory, "cookies.pcap")
        capture = self.client.start("capture", ["tcpdump", "-i", INTERFACE, "-s", "128", "--immediate-mode", "-U",
                                                "-w", path, "tcp port 80"])
        wait_until(lambda: "listening on" in capture.log(), 10, "tcpdump listens")
        for version in (4, 6):
            self.assert_all_answered(http_load(self.client, VIP[version], 20))
        self.director.totals_at_rest()
        capture.send_signal(signal.SIGINT)
        capture.wait(10)
        seen = {4: 0, 6: 0}
        for packet in rdpcap(path):
            version = 4 if IP in packet else 6
            ip = packet[IP] if version == 4 else packet[IPv6]
            stamps = dict(option for option in ip[TCP].options if len(option) == 2).get("Timestamp")
            if stamps is None:
                continue
            layout = LAYOUT[version]
            from_vip = ip.src == VIP[version]
            client, port = (ip.dst, ip[TCP].dport) if from_vip else (ip.src, ip[TCP].sport)
            flow = (client, VIP[version], port, 80, 6)
            expected = cookie.encode(layout, SECRET, 1, flow, 0, BACKEND)
            stamp = stamps[0] if from_vip else stamps[1]
            if not from_vip and ip[TCP].flags == "S":
                self.assertEqual(stamp, 0)
                continue
            self.assertEqual(stamp % (1 << layout.bits), expected, packet.summary())
            seen[version] += 1
        self.assertGreater(min(seen.values()), 100, seen)

    def test_syn_cookies(self):
        """A server that keeps nothing of a SYN finds the options in the timestamp that comes back."""
        self.backend.sysctl(net__ipv4__tcp_syncookies=2)
        self.addCleanup(self.backend.sysctl, net__ipv4__tcp_syncookies=1)
        received = kernel_counter(self.backend, "TcpExtSyncookiesRecv")
        failed = kernel_counter(self.backend, "TcpExtSyncookiesFailed")
        for version in (4, 6):
            held = HeldConnections(self.client, VIP[version], 10, name=f"held{version}")
            shown = self.backend.run(["ss", "-Htin", "state", "established", "sport", "=", ":80"]).stdout
            infos = [line for line in shown.splitlines() if " wscale:10,10 " in line]
            self.assertEqual(len(infos), 10, shown)
            for info in infos:
                # Twelve bytes of each segment are for timestamps.
                self.assertIn({4: " mss:1448 ", 6: " mss:1428 "}[version], info)
            self.assert_held(held.stop())
        self.assertEqual(kernel_counter(self.backend, "TcpExtSyncookiesRecv") - received, 20)
        self.assertEqual(kernel_counter(self.backend, "TcpExtSyncookiesFailed"), failed)

    def test_the_agent_starts_anew_under_connections(self):
        held = HeldConnections(self.client, VIP4, 20)
        agent = self.lab.backends.agents.pop("backend-1")
        agent.send_signal(signal.SIGKILL)
        agent.wait(5)
        self.lab.backends.start_agent("backend-1", "--config", os.path.join(self.lab.run.directory, "backend.yaml"))
        before = held.status()["by_backend"]["backend-1"]["requests"]
        wait_until(lambda: held.status()["by_backend"]["backend-1"]["requests"] > before + 100, 20, "they speak on")
        self.assert_held(held.stop())
        self.assertEqual(kernel_counter(self.client, "TcpExtPAWSEstab"), 0)


class StatefulTest(CookieCase):
    """The director chooses a slot for each connection and tells the agents in the SYN."""

    BACKENDS = 2

    def setUp(self):
        path = os.path.join(self.lab.run.directory, "stateful.yaml")
        with open(path, "w", encoding="utf-8") as file:
            vips = "".join(f"    - {{vip: '{vip}', port: 80, stateful: true}}\n" for vip in VIP.values())
            file.write(f"cookies:\n  vips:\n{vips}")
        for role in ("backend-1", "backend-2"):
            self.lab.backends.agents.pop(role).stop()
            self.lab.backends.start_agent(role, "--config", path)
        services = config.services({1: 100, 2: 100}, mode=self.MODE, udp=False)
        for vip in services["vips"]:
            vip["consistency"] = "stateful"
        self.start(services)

    def worker(self):
        return self.director.ctl("get", "workers")["workers"][0]

    def test_connections_survive_changes(self):
        held = {version: HeldConnections(self.client, VIP[version], 30, name=f"held{version}") for version in (4, 6)}
        self.assertEqual(number(self.worker()["table_stateful"], "entries"), 60)
        self.assertEqual(number(self.worker()["table_v4"], "inserted"), 0)
        for version in (4, 6):
            self.director.ctl("backend", "drain", config.POOL[version], "backend-2")
        self.wait_for_workers()
        for one in held.values():
            before = one.status()["requests"]
            wait_until(lambda one=one, before=before: one.status()["requests"] > before + 100, 30, "they speak on")
        for version in (4, 6):
            self.assert_all_answered(http_load(self.client, VIP[version], 100))
        for one in held.values():
            status = one.stop()
            self.assert_held(status)
            self.assertEqual(set(status["by_backend"]), {"backend-1", "backend-2"})
        # What is counted of one connection.
        socket = self.client.socket(socketlib.AF_INET, socketlib.SOCK_STREAM)
        self.addCleanup(socket.close)
        socket.connect((VIP4, 80))
        socket.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
        self.assertTrue(socket.recv(1))
        address, port = socket.getsockname()
        entry = self.director.ctl("explain", "tcp", f"{address}:{port}", f"{VIP4}:80")["entry"]
        self.assertEqual((entry["backend"], entry["state"]), ("backend-1", "established"))
        self.assertGreaterEqual(int(entry["counted"]["packets"]), 3)
        self.assertGreater(int(entry["counted"]["bytes"]), 3 * 52)
        worker = self.worker()
        self.assertGreater(number(worker["rungs"], "slot"), 500)
        self.assertEqual(number(worker["table_stateful"], "inserted"), 60 + 200 + 1)
        agents = [self.lab.backends.agent_status(role)["counters"] for role in ("backend-1", "backend-2")]
        self.assertEqual(sum(agent["cookies_taken"] for agent in agents), 60 + 200 + 1)
        self.assertEqual(sum(agent["cookie_foreign"] for agent in agents), 0)
        # A tick is a millisecond, so nothing looks old.
        self.assertEqual(kernel_counter(self.client, "TcpExtPAWSEstab"), 0)


class RefusedTest(CookieCase):
    def refused(self, text):
        path = os.path.join(self.lab.run.directory, "wrong.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = run(self.lab.backends.agent_command("check", "--config", path), check=False)
        self.assertEqual(done.returncode, 2)
        return done.stderr

    def test_a_layout_whose_window_is_too_short(self):
        naive = {4: cookie.Layout(key=1, tier=0, backend=14, check=0, clock=0)}
        self.assertIn("2^(31-15+0) = 2^16 ms = 65.5 s, less than the 7200 s for which connections may idle; give "
                      "clock_bits 7", self.refused(agent_configuration(self.key_path, naive)))

    def test_keys(self):
        self.assertIn('cannot open the key file "/nowhere"',
                      self.refused(agent_configuration("/nowhere", {4: LAYOUT[4]})))
        path = os.path.join(self.lab.run.directory, "wrong.key")
        with open(path, "w", encoding="ascii") as file:
            file.write("not a secret")
        said = self.refused(agent_configuration(path, {4: LAYOUT[4]}))
        self.assertIn("does not hold 32 hexadecimal digits", said)
        self.assertNotIn("not a secret", said)


if __name__ == "__main__":
    unittest.main()
