#!/usr/bin/python3
"""What operators look with: `sluicectl explain` says what really becomes of packets, `top` shows it, output formats
agree, completion works in real shells."""

import json
import os
import pty
import re
import select
import socket
import time
import unittest

import yaml

from lab_case import LabCase
from lab import config
from lab.clients.tools import Wrk, http_load
from lab.hold_thread import held
from lab.network import CLIENT, DIRECTOR, INTERFACE, VIP4, VIP6, endpoint
from lab.process import run, wait_until


class ExplainTest(LabCase):
    TUNNELS = True
    BACKENDS = 3

    def explain(self, client, vip, protocol="tcp"):
        return self.director.ctl("explain", protocol, client, vip)

    def connect(self, address, port=80):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = self.client.socket(family)
        self.addCleanup(connection.close)
        connection.settimeout(10)
        connection.connect((address, port))
        host, local_port = connection.getsockname()[:2]
        return connection, endpoint(host, local_port)

    @staticmethod
    def answers(connection):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: vip\r\n\r\n")
        return re.search(r"\r\nX-Backend: (\S+)", connection.recv(4096).decode())[1]

    def test_it_names_the_backend_that_answers(self):
        self.start(config.services({1: 100, 2: 100, 3: 100}))
        for version, address, first in ((4, VIP4, 41000), (6, VIP6, 42000)):
            # What is said of a flow that nobody knows holds when it begins.
            for port in range(first, first + 5):
                client, vip = endpoint(CLIENT.address(version), port), endpoint(address, 80)
                before = self.explain(client, vip)
                self.assertEqual((before["fate"], before["rung"]), ("forwarded", "scheduler"), before)
                self.assertNotIn("entry", before)
                connection = self.client.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
                self.addCleanup(connection.close)
                connection.settimeout(10)
                connection.bind(("", port))
                connection.connect((address, 80))
                self.assertEqual(self.answers(connection), before["backend"])
                after = self.explain(client, vip)
                self.assertEqual((after["rung"], after["backend"]), ("connection_table", before["backend"]))
                self.assertEqual(after["entry"]["state"], "established")

    def test_a_drained_backend_keeps_the_flow_and_the_reason_is_told(self):
        self.start(config.services({1: 100, 2: 100, 3: 100}))
        connection, client = self.connect(VIP4)
        backend = self.answers(connection)
        self.director.ctl("backend", "drain", "web", backend)
        self.wait_for_workers()
        answer = self.explain(client, f"{VIP4}:80")
        self.assertEqual((answer["backend"], answer["rung"]), (backend, "connection_table"))
        self.assertNotEqual(answer["slot_backend"], backend)
        self.assertEqual(self.answers(connection), backend)
        text = self.director.ctl_text("explain", "tcp", client, f"{VIP4}:80")
        self.assertIn(f"the connection stays with {backend}", text)
        self.assertEqual(self.explain(client, f"{VIP4}:81")["drop_reason"], "vip_no_service")
        self.assertEqual(self.explain(client, "192.0.2.2:22")["fate"], "punted")

    def test_a_worker_that_stands_still_is_named(self):
        self.start(config.services({1: 100}, versions=(4,), udp=False))
        question = ("explain", "tcp", "198.51.100.7:1", f"{VIP4}:80")
        with held(self.director.process.pid, "rte-worker"):
            done = self.director.ctl_run(*question, check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("worker 0 on CPU", done.stderr)
        wait_until(lambda: self.director.ctl_run(*question, check=False).returncode == 0, 20, "it answers again")

    def test_the_packet_is_the_one_that_leaves(self):
        """Each tunnel mode: the outer headers as said are those on the wire."""
        for mode in ("ipip", "gue", "gre"):
            with self.subTest(mode=mode):
                self.start(config.services({1: 100}, mode=mode, versions=(4,), udp=False))
                capture = os.path.join(os.path.dirname(self.director.socket_path), f"explain-{mode}.pcap")
                # Where it arrives, because what leaves by a packet socket passes no tap; tunnels are taken off later.
                sniffer = self.lab.network.backends["backend-1"].start(f"tcpdump-{mode}", [
                    "tcpdump", "-U", "-w", capture, "-i", INTERFACE, "-c", "1",
                    f"ip and src host {DIRECTOR.ipv4} and dst host 192.0.2.11 and not icmp"])
                wait_until(lambda: "listening" in sniffer.log(), 10, "tcpdump listens")
                connection, client = self.connect(VIP4)
                self.answers(connection)
                sniffer.wait(20)
                seen = run(["tshark", "-r", capture, "-T", "json", "-x"]).stdout
                fields = run(["tshark", "-r", capture, "-T", "fields", "-E", "occurrence=f", "-e", "eth.src", "-e",
                              "eth.dst", "-e", "ip.src", "-e", "ip.dst", "-e", "udp.srcport", "-e",
                              "udp.dstport"]).stdout.rstrip("\n").split("\t")
                packet = self.explain(client, f"{VIP4}:80")["packet"]
                self.assertEqual([packet[0]["source"], packet[0]["destination"]], fields[:2], seen[:500])
                self.assertEqual([packet[1]["source"], packet[1]["destination"]], fields[2:4])
                if mode == "gue":
                    self.assertEqual([packet[2]["source"], packet[2]["destination"]], fields[4:6])
                self.doCleanups()


class LookTest(LabCase):
    BACKENDS = 2

    def setUp(self):
        self.start(config.services({1: 100, 2: 100}))

    def test_output_formats_agree(self):
        self.assert_all_answered(http_load(self.client, VIP4, 50))
        self.director.totals_at_rest()
        for words in (("get", "vips"), ("get", "backends"), ("stats",), ("explain", "tcp", "198.51.100.7:1",
                                                                         f"{VIP4}:80")):
            # The host may send or get a packet between two questions, so JSON is asked for until two answers agree.
            for _ in range(20):
                before = self.director.ctl(*words)
                from_yaml = yaml.safe_load(self.director.ctl_text("-o", "yaml", *words))
                from_json = self.director.ctl(*words)
                if before == from_json:
                    break
            # 64-bit numbers are text in JSON.
            self.assertEqual(json.loads(json.dumps(from_yaml), parse_int=str, parse_float=str),
                             json.loads(json.dumps(from_json), parse_int=str, parse_float=str), words)

    def test_top_without_a_terminal_prints_plain_screens(self):
        wrk = Wrk(self.client, VIP4, 5, connections=2)
        text = self.director.ctl_text("top", "--interval", "1", "--count", "2")
        wrk.finish()
        self.assertEqual(text.count("WORKER"), 2)
        self.assertNotIn("\x1b", text)
        rate = re.search(r"^http4 .* (\d\S*) +\d\S*b +", text, re.MULTILINE)
        self.assertIsNotNone(rate, text)
        self.assertNotEqual(rate[1], "0")

    def test_top_on_a_terminal_renews_itself_until_q(self):
        child, terminal = pty.fork()
        if child == 0:
            os.environ["TERM"] = "xterm"
            os.environ.pop("NO_COLOR", None)
            command = self.director.ctl_command("top", "--interval", "1")
            os.execvp(command[0], command)
        screen = b""
        try:
            deadline = time.monotonic() + 30
            asked = False
            while time.monotonic() < deadline:
                if not select.select([terminal], [], [], 0.5)[0]:
                    continue
                try:
                    piece = os.read(terminal, 65536)
                except OSError:
                    break  # its other end is closed
                screen += piece
                if screen.count(b"WORKER") >= 3 and not asked:
                    asked = os.write(terminal, b"q") == 1
        finally:
            _, status = os.waitpid(child, 0)
            os.close(terminal)
        self.assertEqual(status, 0)
        # The other screen was entered and left, and titles are bold there.
        self.assertIn(b"\x1b[?1049h", screen)
        self.assertTrue(screen.rstrip().endswith(b"\x1b[?1049l"), screen[-200:])
        self.assertIn(b"\x1b[1m", screen)

    def test_mistakes_say_what_to_do_and_have_their_exit_code(self):
        for words, code, remedy in ((("top", "-o", "json"), 2, "get vips -o json"),
                                    (("explain", "tcp", "nonsense", f"{VIP4}:80"), 2, "192.0.2.1:443"),
                                    (("explain", "tcp", "[2001:db8::1]:5", f"{VIP4}:80"), 1, "two IP versions"),
                                    (("get", "vips", "-o", "xml"), 2, "table, wide, json, yaml")):
            done = self.director.ctl_run(*words, check=False)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(remedy, done.stderr)
            self.assertNotIn("\x1b", done.stderr)

    def test_completion_in_real_shells(self):
        sluicectl = self.director.binary("sluicectl")
        environment = ["env", f"SLUICE_SERVER=unix:{self.director.socket_path}",
                       f"PATH={os.path.dirname(sluicectl)}:/usr/bin:/bin"]

        def bash(line):
            script = ('source <(sluicectl completion bash); COMP_LINE="$1"; COMP_POINT=${#1}; _sluicectl; '
                      'printf "%s\\n" "${COMPREPLY[@]}"')
            done = self.director.namespace.run([*environment, "bash", "-c", script, "bash", line])
            self.assertEqual(done.stderr, "")
            return done.stdout.split()

        self.assertEqual(bash("sluicectl backend dr"), ["drain"])
        self.assertEqual(bash("sluicectl get vips http"), ["http4", "http6"])
        self.assertEqual(bash("sluicectl backend drain web "), ["backend-1", "backend-2"])
        # The part before the last colon is on the line already.
        self.assertIn("80", bash(f"sluicectl explain tcp 198.51.100.7:1 {VIP4}:"))
        zsh = ('compdef() { :; }; compadd() { shift; print -l -- "$@"; }; _files() { print files; }; '
               'source <(sluicectl completion zsh); words=(sluicectl "$@"); CURRENT=$#words; _sluicectl')
        for words, expected in ((("backend", "dr"), "drain"), (("get", "vips", "http4"), "http4"),
                                (("apply", "-f", ""), "files")):
            done = self.director.namespace.run([*environment, "zsh", "-f", "-c", zsh, "zsh", *words])
            self.assertIn(expected, done.stdout.split(), done.stderr)


if __name__ == "__main__":
    unittest.main()
