#!/usr/bin/python3
"""The backend agent by itself: hostile tunnel packets, starting and stopping, what it follows, what it says."""

import json
import os
import signal
import socket
import struct
import unittest

from scapy.all import GRE, ICMP, IP, UDP, Ether, ICMPv6EchoRequest, IPv6, Raw, raw

from lab_case import LabCase
from lab.clients.tools import http_load
from lab import config
from lab.network import CLIENT, DIRECTOR, INTERFACE, VIP4, VIP6, backend_host
from lab.process import wait_until

BACKEND = backend_host(1)
GUE_PORT = 6080
FOREIGN = {4: "192.0.2.77", 6: "2001:db8::77"}


def outer(version, protocol, payload, source=None):
    """`payload`: bytes of what follows the outer IP header."""
    source = source or DIRECTOR.address(version)
    if version == 4:
        return IP(src=source, dst=BACKEND.ipv4, proto=protocol) / Raw(payload)
    return IPv6(src=source, dst=BACKEND.ipv6, nh=protocol) / Raw(payload)


def gue(header, inner):
    data = header + inner
    return struct.pack("!HHHH", 50000, GUE_PORT, 8 + len(data), 0) + data


def echo_request(version, destination=None):
    if version == 4:
        return raw(IP(src=CLIENT.ipv4, dst=destination or VIP4) / ICMP(id=7, seq=1) / b"echo")
    return raw(IPv6(src=CLIENT.ipv6, dst=destination or VIP6) / ICMPv6EchoRequest(id=7, seq=1, data=b"echo"))


def lying(inner):
    """The IPv4 packet with a total length beyond its end."""
    packet = IP(inner)
    packet.len = len(inner) + 100
    del packet.chksum
    return raw(packet)


class AgentCase(LabCase):
    TUNNELS = True
    BACKENDS = 1

    def setUp(self):
        self.backend = self.lab.network.backends[BACKEND.role]

    def counters(self):
        return self.lab.backends.agent_status(BACKEND.role)["counters"]

    def agent(self, *arguments, check=True):
        return self.backend.run(self.lab.backends.agent_command(*arguments), check=check)

    def filters(self):
        """Names of the programs at the backend's interface."""
        shown = self.backend.run(["tc", "-s", "filter", "show", "dev", INTERFACE, "ingress"]).stdout
        shown += self.backend.run(["tc", "-s", "filter", "show", "dev", INTERFACE, "egress"]).stdout
        return [name for name in ("sluice_ingress", "sluice_egress") if name in shown]

    def has_clsact(self):
        return "clsact" in self.backend.run(["tc", "qdisc", "show", "dev", INTERFACE]).stdout


class HostileTest(AgentCase):
    def setUp(self):
        super().setUp()
        self.wire = self.client.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.addCleanup(self.wire.close)
        self.wire.bind((INTERFACE, 0))
        self.wire.settimeout(0.05)

    def send(self, packet):
        self.wire.send(raw(Ether(src=DIRECTOR.mac, dst=BACKEND.mac) / packet))

    def answered(self, version):
        """Whether an echo reply of the VIP came."""
        expected = bytes([0, 0]) if version == 4 else bytes([129, 0])
        try:
            while True:
                frame = self.wire.recv(2048)
                at, source = (34, frame[26:30]) if version == 4 else (54, frame[22:38])
                vip = socket.inet_pton(socket.AF_INET if version == 4 else socket.AF_INET6, config.VIP[version])
                if source == vip and frame[at:at + 2] == expected:
                    return True
        except TimeoutError:
            return False

    def expect(self, name, packet):
        """The packet raises this counter and no other, and nothing answers."""
        before = self.counters()
        self.send(packet)
        wait_until(lambda: self.counters()[name] > before[name], 5, f"{name} is counted")
        changed = {key: value - before[key] for key, value in self.counters().items() if value != before[key]}
        self.assertEqual(changed, {name: 1})
        self.assertFalse(self.answered(4) or self.answered(6))

    def test_a_good_packet_is_answered(self):
        """Otherwise the silence in the other tests would prove nothing."""
        for version in (4, 6):
            for inner_version in (4, 6):
                with self.subTest(outer=version, inner=inner_version):
                    self.send(outer(version, 4 if inner_version == 4 else 41, echo_request(inner_version)))
                    wait_until(lambda version=inner_version: self.answered(version), 5, "the VIP answers")

    def test_tunnels_from_elsewhere(self):
        for version in (4, 6):
            self.expect("drop_foreign_source", outer(version, 4, echo_request(4), FOREIGN[version]))
            self.expect("drop_foreign_source",
                        outer(version, 17, gue(bytes([0, 41, 0, 0]), echo_request(6)), FOREIGN[version]))

    def test_packets_for_others(self):
        for destination in (BACKEND.ipv4, "127.0.0.1", CLIENT.ipv4, "224.0.0.1"):
            self.expect("drop_not_a_vip", outer(4, 4, echo_request(4, destination)))
        self.expect("drop_not_a_vip", outer(6, 41, echo_request(6, BACKEND.ipv6)))

    def test_tunnels_in_tunnels(self):
        inner = raw(IP(src=CLIENT.ipv4, dst=VIP4, proto=4) / Raw(echo_request(4)))
        self.expect("drop_nested", outer(4, 4, inner))
        self.expect("drop_nested", outer(6, 17, gue(bytes([0, 4, 0, 0]), inner)))
        inner = raw(IP(src=CLIENT.ipv4, dst=VIP4) / GRE() / Raw(echo_request(4)))
        self.expect("drop_nested", outer(4, 4, inner))

    def test_lengths_that_lie(self):
        self.expect("drop_inner_length", outer(4, 4, lying(echo_request(4))))
        self.expect("drop_inner_length", outer(6, 17, gue(bytes([0, 4, 0, 0]), lying(echo_request(4)))))
        # The lab's bridge lets no IP header lie about the frame; that of UDP may.
        short = gue(bytes([0, 4, 0, 0]), echo_request(4))
        self.expect("drop_outer_length", outer(4, 17, short[:4] + struct.pack("!H", len(short) + 8) + short[6:]))

    def test_odd_headers(self):
        self.expect("drop_inner_header", outer(4, 41, echo_request(4)))
        self.expect("drop_inner_header", outer(4, 4, echo_request(4)[:12]))
        self.expect("drop_unsupported", outer(4, 17, gue(bytes([0x20, 0, 0, 0]), echo_request(4))))
        self.expect("drop_unsupported", outer(4, 47, bytes([0x20, 0, 8, 0, 0, 0, 0, 1]) + echo_request(4)))
        packet = outer(4, 4, echo_request(4))
        packet.flags = "MF"
        self.expect("drop_outer_fragment", packet)

    def test_what_is_no_tunnel_reaches_the_kernel(self):
        before = self.counters()
        self.send(IP(src=CLIENT.ipv4, dst=VIP4) / ICMP(id=7, seq=1) / b"echo")
        wait_until(lambda: self.answered(4), 5, "the VIP answers a packet without a tunnel")
        self.send(IP(src=CLIENT.ipv4, dst=BACKEND.ipv4) / UDP(sport=1, dport=GUE_PORT + 1) / (b"x" * 20))
        self.assertEqual(self.counters(), before)


class LifeTest(AgentCase):
    """Each test begins with the agent running, as it began."""

    def setUp(self):
        super().setUp()
        self.restart()

    def stop(self):
        agent = self.lab.backends.agents.pop(BACKEND.role)
        self.assertEqual(agent.stop(), 0)

    def restart(self, *options):
        if BACKEND.role in self.lab.backends.agents:
            self.stop()
        self.lab.backends.start_agent(BACKEND.role, *options)

    def requests(self):
        self.assert_all_answered(http_load(self.client, VIP4, 50))

    def serve(self):
        self.start(config.services({1: 100}, mode="gre", udp=False))

    def test_sigterm_leaves_nothing_behind(self):
        self.assertEqual(self.filters(), ["sluice_ingress", "sluice_egress"])
        self.stop()
        self.assertEqual(self.filters(), [])
        self.assertFalse(self.has_clsact())
        self.assertEqual(json.loads(self.agent("status", "-o", "json").stdout), {"groups": []})
        self.assertEqual([name for name in os.listdir("/run/sluice-backend") if self.lock_is_ours(name)], [])

    def lock_is_ours(self, name):
        inode = self.backend.run(["stat", "-L", "-c", "%i", "/proc/self/ns/net"]).stdout.strip()
        return name.startswith(inode + "-")

    def test_a_second_one_is_refused(self):
        pid = self.lab.backends.agents[BACKEND.role].popen.pid
        for command in ("run", "attach", "detach"):
            with self.subTest(command=command):
                done = self.agent(command, "--interface", INTERFACE, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(f'interface "{INTERFACE}": another sluice-backend (pid {pid}) has it', done.stderr)
        self.assertEqual(self.filters(), ["sluice_ingress", "sluice_egress"])

    def test_killed_it_keeps_working_and_the_next_takes_over(self):
        self.serve()
        self.requests()
        counted = self.counters()["gre_packets"]
        self.assertGreater(counted, 0)
        agent = self.lab.backends.agents.pop(BACKEND.role)
        agent.send_signal(signal.SIGKILL)
        agent.wait(5)
        self.requests()
        after = self.counters()["gre_packets"]
        self.assertGreater(after, counted)
        self.restart()
        self.assertGreaterEqual(self.counters()["gre_packets"], after)
        # It created the qdisc in its former life, so it removes it in this one.
        self.stop()
        self.assertFalse(self.has_clsact())

    def test_attach_and_detach_without_a_process(self):
        self.stop()
        options = ["--interface", INTERFACE, "--director", DIRECTOR.ipv4, "--vip", VIP4]
        self.agent("attach", *options)
        self.agent("attach", *options)  # again: replaced, nothing doubled
        self.serve()
        self.requests()
        self.assertGreater(self.counters()["gre_packets"], 0)
        self.agent("detach")
        self.assertEqual(self.filters(), [])
        self.assertFalse(self.has_clsact())
        done = self.agent("detach", "--interface", INTERFACE, check=False)
        self.assertEqual((done.returncode, "is not attached" in done.stderr), (1, True))

    def test_others_at_the_same_hooks_stay(self):
        self.stop()
        self.backend.run(["tc", "qdisc", "add", "dev", INTERFACE, "clsact"])
        # It matches nothing.
        self.backend.run(["tc", "filter", "add", "dev", INTERFACE, "ingress", "pref", "7", "bpf", "bytecode",
                          "1,6 0 0 0", "flowid", "1:1"])
        self.restart()
        self.stop()
        self.assertTrue(self.has_clsact())
        self.assertIn("pref 7", self.backend.run(["tc", "filter", "show", "dev", INTERFACE, "ingress"]).stdout)
        self.backend.run(["tc", "qdisc", "del", "dev", INTERFACE, "clsact"])

    def test_removed_programs_come_back(self):
        self.backend.run(["tc", "qdisc", "del", "dev", INTERFACE, "clsact"])
        self.assertEqual(self.filters(), [])
        wait_until(lambda: self.filters() == ["sluice_ingress", "sluice_egress"], 10, "the programs are there again")
        self.assertIn("attaching them again", self.lab.backends.agents[BACKEND.role].log())

    def test_addresses_are_followed(self):
        def ends_at():
            return self.lab.backends.agent_status(BACKEND.role)["addresses"]

        self.assertEqual(sorted(ends_at()), sorted([BACKEND.ipv4, BACKEND.ipv6]))
        self.backend.ip(f"address add 192.0.2.211/24 dev {INTERFACE}")
        wait_until(lambda: "192.0.2.211" in ends_at(), 10, "tunnels may end at the new address")
        self.backend.ip(f"address del 192.0.2.211/24 dev {INTERFACE}")
        wait_until(lambda: "192.0.2.211" not in ends_at(), 10, "tunnels no longer end at the old address")

    def test_a_file_that_is_read_again(self):
        path = os.path.join(self.lab.run.directory, "backend.yaml")

        def write(text):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)

        write("tunnels: [gre]\n")
        self.restart("--config", path)
        agent = self.lab.backends.agents[BACKEND.role]
        self.assertEqual(self.lab.backends.agent_status(BACKEND.role)["tunnels"], ["gre"])
        write("tunnels: [gre, vxlan]\n")
        agent.send_signal(signal.SIGHUP)
        wait_until(lambda: "the configuration stays as it was" in agent.log(), 10, "the bad file is refused")
        self.assertIn('backend.yaml:1:16: tunnels[1]: "vxlan"', agent.log())
        write("tunnels: [ipip, gue]\n")
        agent.send_signal(signal.SIGHUP)
        wait_until(lambda: self.lab.backends.agent_status(BACKEND.role)["tunnels"] == ["ipip", "gue"], 10,
                   "the new kinds are in force")


class CheckTest(AgentCase):
    def test_a_host_that_is_set_up(self):
        done = self.agent("--check", "--interface", INTERFACE, "--director", DIRECTOR.ipv4, "-o", "json")
        found = json.loads(done.stdout)["findings"]
        self.assertEqual([f for f in found if f["severity"] in ("warning", "error")], [])
        self.assertIn("the kernel takes the programs", [f["what"] for f in found])

    def test_what_is_missing_comes_with_its_command(self):
        self.backend.ip(f"address del {VIP4}/32 dev lo")
        self.backend.sysctl(net__ipv4__conf__all__arp_ignore=0, net__ipv4__conf__all__rp_filter=1)
        done = self.agent("check", "--interface", INTERFACE, "--vip", VIP4)
        for command in (f"ip address add {VIP4}/32 dev lo", "sysctl -w net.ipv4.conf.all.arp_ignore=1",
                        "sysctl -w net.ipv4.conf.all.rp_filter=0", "name the directors with --director"):
            self.assertIn(command, done.stdout)

    def test_without_permission(self):
        done = self.backend.run(["setpriv", "--reuid", "65534", "--clear-groups",
                                 *self.lab.backends.agent_command("check")], check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("CAP_BPF", done.stdout)

    def test_an_interface_that_is_not_there(self):
        done = self.agent("run", "--interface", "eth7", check=False)
        self.assertEqual((done.returncode, done.stderr),
                         (1, 'sluice-backend: interfaces: "eth7": there is no such interface; see `ip link`\n'))


if __name__ == "__main__":
    unittest.main()
