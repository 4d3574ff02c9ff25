#!/usr/bin/python3
"""Two directors behind a router whose kernel spreads connections over them (ECMP), while backends come and go and a
director is killed and starts again. Connections with cookies do not notice; without cookies many break."""

import os
import re
import signal
import socket
import time
import unittest

from cookie_case import COOKIE, LAYOUT, SECRET, cookie, cookie_id
from two_directors_case import CONNECTIONS, TwoDirectorsCase
from lab import config
from lab.clients.tools import HeldConnections, http_load
from lab.network import CLIENT, DIRECTOR, DIRECTOR_2, INTERFACE, VIP4, VIP6
from lab.process import run, wait_until

TCP_REPAIR = 19  # linux/tcp.h
# What the backend's kernel gets from below, behind the agent, and what it sends, before the agent.
KERNELS_VIEW = """\
table inet kernels_view {
  chain received { type filter hook input priority 0; tcp dport 80 log group 5 queue-threshold 1
  }
  chain sent { type filter hook output priority 0; tcp sport 80 log group 5 queue-threshold 1
  }
}
"""


def backends_of(held):
    return {name for each in held for name in each.status()["by_backend"]}


class TwoDirectorsTest(TwoDirectorsCase):
    def services(self, weights, **vip):
        services = super().services(weights, **vip)
        if vip["consistency"] == "cookie":
            # Neither director knows whom the other one's connections went to, nor would the hash tell.
            for pool in services["pools"]:
                pool["policy"] = "power-of-two"
        return services

    def test_many_break_without_cookies(self):
        broken = self.follow_plan(consistency="hash").stop()
        self.assert_as_predicted("hash", broken)
        self.assertGreater(len(broken[True]["failures"]), CONNECTIONS // 10)

    def test_nothing_breaks_with_cookies(self):
        vip = {"consistency": "cookie", "cookie": COOKIE}
        clients = self.follow_plan(**vip)
        digests = [{key: director.ctl("status")[key] for key in ("cookie_ids_digest", "cookie_keys_digest")}
                   for director in (self.director, self.second)]
        self.assertEqual(digests[0], digests[1])
        self.assertEqual([self.digests_of_metrics(director) for director in (self.director, self.second)],
                         2 * [digests[0]])
        # Without timestamps there is nothing that a director could go by which has not seen the connection.
        self.assert_as_predicted("cookie", clients.broken())
        self.assertEqual({flow for flow, connection in clients.without_timestamps().items() if connection["failed"]},
                         self.endangered)
        # Gone, when its connections have ended; and other weights.
        clients.close("backend-3")
        self.reload_both(self.services({1: 20, 2: 100, 4: 300}, **vip))
        clients.speak_on()
        self.assertEqual(clients.stop()[True]["failures"], [])
        # One director is told of a change and the other is not.
        self.reload(self.second, self.services({1: 20, 2: 100}, **vip))
        digests = [self.digests_of_metrics(director) for director in (self.director, self.second)]
        self.assertNotEqual(digests[0]["cookie_ids_digest"], digests[1]["cookie_ids_digest"])
        self.assertEqual(digests[0]["cookie_keys_digest"], digests[1]["cookie_keys_digest"])

    @staticmethod
    def digests_of_metrics(director):
        """As `sluicectl status` names them."""
        (labels, value), = [(dict(pairs), value) for (name, pairs), value in director.metrics().items()
                            if name == "sluice_cookie_digest_info"]
        if value != 1:
            raise AssertionError(f"an info metric is {value}")
        return {f"cookie_{key}_digest": digest for key, digest in labels.items()}

    def test_connections_stay_while_keys_change(self):
        """From key 0 to both, first at the directors and then at the agents, and on to key 1 alone. Where all new
        connections go to another backend, nothing but its cookie keeps an old one."""
        files = {0: self.key_path, 1: self.write_key("cookie-1.key", bytes(range(100, 116)))}
        both, elsewhere = {1: 100, 2: 100, 3: 0}, {1: 0, 2: 0, 3: 100}

        def services(weights, *numbers):
            part = self.services(weights, consistency="cookie", cookie=COOKIE)
            return part | {"cookie_keys": [{"number": number, "file": files[number]} for number in numbers]}

        def connect(name):
            return [HeldConnections(self.client, vip, 10, name=f"{name}{version}") for version, vip in
                    config.VIP.items()]

        self.start_both(services(both, 0))
        self.addCleanup(self.tell_agents, {0: files[0]}, 0)
        old = connect("old")
        self.assertEqual(backends_of(old), {"backend-1", "backend-2"})
        self.reload_both(services(both, 0, 1))
        self.assert_all_speak(old)
        self.tell_agents(files, 1)
        self.assert_all_speak(old)
        new = connect("new")
        self.reload_both(services(elsewhere, 0, 1))
        self.assert_all_speak(old + new)
        # Key 0 goes before its connections have ended: to see that it is what kept them, and key 1 the others.
        self.reload_both(services(elsewhere, 1))
        wait_until(lambda: all(len(held.status()["failures"]) == 10 for held in old), 60, "the old ones break")
        self.tell_agents({1: files[1]}, 1)
        last = connect("last")
        self.assertEqual(backends_of(last), {"backend-3"})
        self.reload_both(services(both, 1))
        self.assert_all_speak(new + last)

    def lose(self, family, vip):
        """The port of a connection that its client's kernel forgets in the midst of an answer, without a word."""
        with self.client.socket(family) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(10)
            connection.connect((vip, 80))
            connection.sendall(b"GET /big HTTP/1.1\r\nHost: vip\r\n\r\n")
            connection.recv(1)
            connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
            return connection.getsockname()[1]

    def test_servers_learn_of_lost_connections(self):
        """Kernels answer what they have no socket for with resets without timestamps, which name no backend; and where
        two choices were compared, the hash mostly does not either."""
        self.start(self.services({1: 100, 2: 100, 3: 100}, consistency="cookie", cookie=COOKIE))

        def kept():
            return {line.split()[-1].rpartition(":")[2] for backend in self.lab.network.backends.values()
                    for line in backend.run(["ss", "-Htn", "state", "established"]).stdout.splitlines()}

        # Servers still have what other tests broke, some of it perhaps of the ports that are about to be used.
        before = kept()
        lost = {str(self.lose(*to)) for to in 10 * [(socket.AF_INET, VIP4), (socket.AF_INET6, VIP6)]} - before
        wait_until(lambda: lost.isdisjoint(kept()), 60, "no server has one of them")
        copied = sum(value for (name, _), value in self.director.metrics().items()
                     if name == "sluice_worker_copied_packets_total")
        self.assertGreaterEqual(copied, 20)

    def test_explain_says_whom_a_cookie_names(self):
        self.start(self.services({1: 100, 2: 100, 3: 100}, consistency="cookie", cookie=COOKIE))
        with self.client.socket() as connection:
            connection.settimeout(10)
            connection.connect((VIP4, 80))
            host, port = connection.getsockname()
            sniffer = self.client.start("tcpdump-echo", ["tcpdump", "-l", "-n", "-i", INTERFACE, "-c", "1",
                                                         f"tcp src port {port} and tcp[tcpflags] & tcp-push != 0"])
            wait_until(lambda: "listening" in sniffer.log(), 10, "tcpdump listens")
            connection.sendall(b"GET / HTTP/1.1\r\nHost: vip\r\n\r\n")
            backend = re.search(r"\r\nX-Backend: (\S+)", connection.recv(4096).decode())[1]
            sniffer.wait(20)
            echo = re.search(r" ecr (\d+)", sniffer.log())[1]
            question = ("explain", "tcp", f"{host}:{port}", f"{VIP4}:80", "--ecr", echo)
            self.director.ctl("backend", "drain", config.POOL[4], backend)
            answer = self.director.ctl(*question)
            found = (answer["rung"], answer["backend"], answer["cookie_backend"])
            self.assertEqual(found, ("cookie", backend, backend))
            self.assertNotEqual(answer["slot_backend"], backend)
        self.director.ctl("backend", "remove", config.POOL[4], backend)
        answer = self.director.ctl(*question)
        self.assertEqual((answer["rung"], answer["cookie_backend"]), ("hash_only", ""))
        self.assertIn("names nobody of the pool", self.director.ctl_text(*question))

    # ---- The bits

    @staticmethod
    def in_the_kernel(path):
        """The same of what the backend's kernel got and sent, without MAC addresses; by tshark."""
        fields = ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.flags",
                  "tcp.options.timestamp.tsval", "tcp.options.timestamp.tsecr")
        command = ["tshark", "-r", path, "-Y", "tcp.options.timestamp.tsval", "-T", "fields", "-E", "separator=|"]
        for field in fields:
            command += ["-e", field]
        found = []
        for line in run(command).stdout.splitlines():
            source4, target4, source6, target6, sport, dport, *numbers = line.split("|")
            found.append(((source4 or source6, target4 or target6, int(sport), int(dport)),
                          *(int(text, 0) for text in numbers)))
        return found

    def check_cookie(self, to_vip, packet):
        """The index of the backend that a packet on the wire names; None of a SYN, which echoes nothing."""
        _, (source, target, sport, dport), _, flags, value, echo = packet
        stamp = echo if to_vip else value
        if to_vip and flags & 0x12 == 0x02:
            self.assertEqual(stamp, 0)
            return None
        flow = (source, target, sport, dport, 6) if to_vip else (target, source, dport, sport, 6)
        said = cookie.decode(LAYOUT, SECRET, flow, stamp % (1 << LAYOUT.bits))
        index = said[2] - cookie_id(0)
        self.assertEqual(said, (0, 0, cookie_id(index), 0), packet)
        return index

    def check_kernel(self, index, wire, kernel):
        """What the agent made of each packet of the backend's, both ways."""
        def order(packet):
            # Connection by connection, first what was sent: two captures agree on the order of one direction only.
            source, _, sport, dport = packet[0]
            return ":" in source, max(sport, dport), dport == 80

        self.assertEqual(len(wire), len(kernel))
        sent = {}  # by flow: all timestamps of the kernel's own
        for (flow, number, flags, value, echo), own in zip(sorted(wire, key=order), sorted(kernel, key=order)):
            self.assertEqual((flow, number, flags), own[:3])
            if flow[2] == 80:
                made = cookie.encode(LAYOUT, SECRET, 0, (flow[1], flow[0], flow[3], 80, 6), 0, cookie_id(index))
                self.assertEqual((value, echo), (cookie.wire(LAYOUT, own[3], made), own[4]))
                sent.setdefault((flow[1], flow[3]), []).append(own[3])
            elif flags & 0x12 == 0x02:
                self.assertEqual((value, echo), own[3:])
            else:
                # One that the kernel sent, and of the tick that the client echoes.
                self.assertEqual(value, own[3])
                self.assertIn(own[4], sent[flow[0], flow[2]])
                self.assertEqual(cookie.wire(LAYOUT, own[4], echo % (1 << LAYOUT.bits)), echo)

    def capture_both_sides(self, indexes=(1, 2)):
        """Of these backends: {index: (file, process) of the wire, (index, "kernel"): those of the kernel's view}."""
        captures = {}
        for index in indexes:
            namespace = self.lab.network.backends[f"backend-{index}"]
            namespace.run(["nft", "-f", "-"], stdin=KERNELS_VIEW)
            captures[index] = self.capture(namespace, f"backend-{index}", INTERFACE)
            captures[index, "kernel"] = self.capture(namespace, f"backend-{index}", "nflog:5")
        return captures

    def end_captures(self, captures):
        def are_written():
            # What was captured comes to its file when there is a CPU for it.
            before = [os.path.getsize(path) for path, _ in captures.values()]
            time.sleep(0.5)
            return [os.path.getsize(path) for path, _ in captures.values()] == before

        wait_until(are_written, 30, "captures are written")
        for place, (_, process) in captures.items():
            process.send_signal(signal.SIGINT)
            process.wait(10)
            if isinstance(place, int):
                namespace = self.lab.network.backends[f"backend-{place}"]
                namespace.run(["nft", "delete", "table", "inet", "kernels_view"])

    def test_each_other_mode(self):
        """With GUE all of the other tests are. The change leaves nobody but cookies to tell where connections are."""
        def services(mode, weights):
            return self.services(weights, mode=mode, consistency="cookie", cookie=COOKIE)

        modes = ("l2", "ipip", "gre", "gue-direct")
        both, elsewhere = {1: 100, 2: 100, 3: 0}, {1: 0, 2: 0, 3: 100}
        self.start(services("gue", both))
        captures = self.capture_both_sides()
        for mode in modes:
            self.reload(self.director, services(mode, both))
            held = [HeldConnections(self.client, address, 6, name=f"{mode}{version}", interval=0.1)
                    for version, address in config.VIP.items()]
            self.assertEqual(backends_of(held), {"backend-1", "backend-2"})
            self.reload(self.director, services(mode, elsewhere))
            self.assert_all_speak(held)
            for each in held:
                self.assert_held(each.stop())
        self.director.totals_at_rest()
        self.end_captures(captures)
        for index in (1, 2):
            wire = self.on_the_wire(captures[index][0])
            self.assertGreater(len(wire), len(modes) * 6 * 10)
            self.check_kernel(index, [packet[1:] for packet in wire],
                              self.in_the_kernel(captures[index, "kernel"][0]))
        counted = self.lab.backends.agent_status("backend-1")["counters"]
        for mode in modes[1:]:
            self.assertGreater(counted[f"{mode.replace('-', '_')}_packets"], 6 * 5, mode)

    def test_the_bits_on_both_sides_of_both_directors(self):
        self.start_both(self.services({1: 100, 2: 100}, consistency="cookie", cookie=COOKIE))
        captures = {"client": self.capture(self.client, "client", INTERFACE), **self.capture_both_sides()}
        for version in (4, 6):
            self.assert_all_answered(http_load(self.client, config.VIP[version], 60))
        self.director.totals_at_rest()
        self.second.totals_at_rest()
        self.end_captures(captures)
        clients = {CLIENT.address(version) for version in (4, 6)}
        seen = {}  # (side, family, by which station): packets
        for side in ("client", 1, 2):
            wire = self.on_the_wire(captures[side][0])
            for packet in wire:
                to_vip = packet[1][0] in clients
                index = self.check_cookie(to_vip, packet)
                if side != "client" and index is not None:
                    self.assertEqual(index, side)
                key = (side, ":" in packet[1][0], packet[0])
                seen[key] = seen.get(key, 0) + 1
            if side != "client":
                kernel = self.in_the_kernel(captures[side, "kernel"][0])
                self.check_kernel(side, [packet[1:] for packet in wire], kernel)
        # Both directors gave packets of both families to both backends.
        for side in (1, 2):
            for is_v6 in (False, True):
                for director in (DIRECTOR, DIRECTOR_2):
                    self.assertGreater(seen.get((side, is_v6, director.mac), 0), 0, seen)


if __name__ == "__main__":
    unittest.main()
